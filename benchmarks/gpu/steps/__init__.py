"""One module a step, each a program of its own: `python -m benchmarks.gpu.steps.NAME`."""
