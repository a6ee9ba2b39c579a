"""A page and an HTTP API to try a model."""
