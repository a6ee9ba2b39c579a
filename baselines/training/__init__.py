"""Training of all models: configuration, data order, loop, checkpoints, validation, logs."""
