"""One training loop for all models: config, data order, checkpoints, validation, logs."""
