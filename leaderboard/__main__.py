"""`earthreason-leaderboard`."""

from .cli import run

run()
