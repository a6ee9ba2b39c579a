"""PSALM (arXiv 2403.14598): many mask queries read by a language model, each scored against the question."""
