"""Code shared by the models."""
