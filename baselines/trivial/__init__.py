"""Predictors that never read the question: the floor of every table."""
