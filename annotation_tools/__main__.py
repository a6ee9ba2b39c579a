"""`earthreason-annotation`."""

from .cli import run

run()
