"""Make a small checkpoint with a card from a training run."""
