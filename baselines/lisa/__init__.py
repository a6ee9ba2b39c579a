"""LISA (arXiv 2308.00692): a language model says a token, and its state prompts SAM."""
