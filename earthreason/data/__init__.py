"""Samples: schema, sources, configurations, audit and exports."""
