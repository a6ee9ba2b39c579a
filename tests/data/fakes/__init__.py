"""Makers of tiny sets in their published form, written without this package."""
