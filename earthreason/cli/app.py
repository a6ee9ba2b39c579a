"""Error handling, consoles and logging shared by all commands."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler

from earthreason.errors import EarthReasonError
from earthreason.files import write_json
from earthreason.installing import install_command, sources_of

VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Log only errors.")]


def stdout() -> Console:
    """Make the console for results; it prints plain text when piped or when NO_COLOR is set."""
    return Console(highlight=False)


def stderr() -> Console:
    """Make the console for progress, warnings and errors, on standard error."""
    return Console(stderr=True, highlight=False)


def make_app(name: str, purpose: str) -> typer.Typer:
    """Make a command line for `python -m`, with the options common to all of them."""
    app = typer.Typer(
        name=name,
        help=purpose,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _common(verbose: VerboseOption = False, quiet: QuietOption = False) -> None:
        set_verbosity(verbose, quiet)

    return app


def guard(run: Callable[[], None]) -> None:
    """Run a command line; print an input error without a traceback and exit with 2."""
    try:
        try:
            run()
        finally:
            sys.stdout.flush()  # reports a full disk here rather than at interpreter exit
    except EarthReasonError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        sources = sources_of(error.name or "")
        if not sources:
            raise
        remedy = install_command(sources[0])
        _fail(f"this needs {error.name}, which is not installed; it comes with {sources[0]}: {remedy}")
    except BrokenPipeError:
        _drop_stdout()
        raise SystemExit(1) from None
    except OSError as error:
        if error.strerror is None:
            raise
        if error.filename is None:
            _drop_stdout()
        _fail(f"{'cannot write' if error.filename is None else error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


def _fail(message: str) -> NoReturn:
    stderr().print("[red]error:[/red] ", end="")
    sys.stderr.write(f"{message}\n")
    raise SystemExit(2) from None


def _drop_stdout() -> None:
    """Redirect standard output to the null device, so that the interpreter does not fail to flush it at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report_json(path: Path | None, value: object) -> bool:
    """Write a result as JSON to a file, or print it for '-'. Return whether the table is still to be printed."""
    if path is None:
        return True
    if str(path) == "-":
        json.dump(value, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return False
    write_json(path, value)
    return True


def set_verbosity(verbose: bool, quiet: bool) -> None:
    """Log to stderr at level INFO, DEBUG (-v) or ERROR (-q)."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    handler = RichHandler(console=stderr(), show_time=False, show_path=False, show_level=verbose)
    logger = logging.getLogger("earthreason")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
