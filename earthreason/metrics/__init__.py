"""Protocols, region counts and scores."""
