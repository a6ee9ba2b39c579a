"""What all commands share: the error edge, consoles, logging."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from earthreason.errors import EarthReasonError
from earthreason.files import write_json

INPUT_ERROR = 2
"""Exit code of bad input; 0 is success, 1 a check that failed, 130 an interrupt."""


def stdout() -> Console:
    """Console for results; plain when piped or when NO_COLOR is set."""
    return Console(highlight=False)


def stderr() -> Console:
    """Console for everything that is not the result."""
    return Console(stderr=True, highlight=False)


def make_app(name: str, purpose: str) -> typer.Typer:
    """A command line that is run with `python -m`, with the options all of them have."""
    app = typer.Typer(name=name, help=purpose, no_args_is_help=True, add_completion=False,
                      pretty_exceptions_enable=False, rich_markup_mode=None)  # fmt: skip

    @app.callback()
    def _common(
        verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
        quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only errors.")] = False,
    ) -> None:
        set_verbosity(verbose, quiet)

    return app


def guard(run: Callable[[], None]) -> None:
    """Run a command line; print an input error in one place and exit with 2, without a traceback."""
    try:
        run()
    except EarthReasonError as error:
        stderr().print("[red]error:[/red] ", end="")
        sys.stderr.write(f"{error}\n")
        raise SystemExit(INPUT_ERROR) from None
    except OSError as error:
        if error.filename is None:
            raise
        stderr().print("[red]error:[/red] ", end="")
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        raise SystemExit(INPUT_ERROR) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


def report_json(path: Path | None, value: object) -> bool:
    """Write a result as JSON to a file, or to standard output for '-'; True if the table is still to be shown."""
    if path is None:
        return True
    if str(path) == "-":
        json.dump(value, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return False
    write_json(path, value)
    return True


def set_verbosity(verbose: bool, quiet: bool) -> None:
    """Log our messages to stderr at INFO; -v for DEBUG, -q for errors only."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    handler = RichHandler(console=stderr(), show_time=False, show_path=False, show_level=verbose)
    logger = logging.getLogger("earthreason")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
