"""Predictors that ignore the question: lower bounds for other models."""
