"""What models are shown and asked: pictures, concepts for empty targets, languages, and versions of the prompts."""
