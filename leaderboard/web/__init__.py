"""The web application: API and pages over the same functions."""
