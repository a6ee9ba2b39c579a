"""Entry point of `python -m baselines`."""

from baselines.cli import run

run()
