"""Label Studio: its own environment, its server, its REST API, our project on it."""
