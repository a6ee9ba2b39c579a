"""Entry point of `earthreason-baselines`."""

from .cli import run

run()
