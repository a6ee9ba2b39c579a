"""Batches of requests: what goes into one, and what is collected from it."""
