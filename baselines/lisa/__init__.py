"""LISA (arXiv 2308.00692): the language model predicts a token, whose state prompts SAM."""
