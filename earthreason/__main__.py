"""`python -m earthreason`."""

from earthreason.cli.main import run

run()
