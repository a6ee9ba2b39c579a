"""The steps: each module is a program, `python -m benchmarks.gpu.steps.NAME`."""
