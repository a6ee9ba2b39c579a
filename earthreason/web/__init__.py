"""What the small web applications of the suite share: guards against requests from elsewhere, and errors as JSON."""
