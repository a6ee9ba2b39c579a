"""PSALM (arXiv 2403.14598): a language model reads many mask queries, each scored against the question."""
