"""`python -m annotation_tools`."""

from annotation_tools.cli import run

run()
