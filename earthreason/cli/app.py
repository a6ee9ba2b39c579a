"""Error handling, consoles and logging shared by all commands."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from earthreason.errors import EarthReasonError
from earthreason.files import write_json
from earthreason.installing import install_command, sources_of
from earthreason.progress import set_quiet, spinner

_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"


def _print_version(wanted: bool) -> None:
    if wanted:
        from earthreason import __version__

        typer.echo(__version__)
        raise typer.Exit


def _print_licence(wanted: bool) -> None:
    if not wanted:
        return
    from earthreason.data.about import OFFICIAL

    typer.echo(
        f"code: Apache License 2.0, {_APACHE}; what others wrote has its own licence beside it, in a file *.LICENSE\n"
        f"official release: {OFFICIAL.licence}\n"
        "other datasets: `earthreason datasets NAME` says the terms of each\n"
        "weights: the card of a checkpoint (README.md in its folder) says their terms and those of its training data"
    )
    raise typer.Exit


VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Log only errors, and show no progress.")]
VersionOption = Annotated[
    bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
]
LicenceOption = Annotated[
    bool,
    typer.Option(
        "--license",
        help="Print the licence of the code and where the terms of data are.",
        callback=_print_licence,
        is_eager=True,
    ),
]
HELP_OPTIONS = {"help_option_names": ["--help", "-h"]}


def stdout() -> Console:
    """Make the console for results: plain text in a pipe, no colours where NO_COLOR is set."""
    return _make_console()


def stderr() -> Console:
    """Make the console for progress, warnings and errors, on standard error."""
    return _make_console(stderr=True)


def _make_console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    console.soft_wrap = not console.is_terminal  # a pipe has no width
    return console


class LogHandler(logging.Handler):
    """Print log messages on one line each, so that a path in them can be copied.

    Attributes:
        console: where they are printed.
    """

    def __init__(self, console: Console, *, names_levels: bool) -> None:
        super().__init__()
        self.console = console
        if names_levels:
            self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message."""
        try:
            self.console.print(self.format(record), soft_wrap=True, markup=False)
        except Exception:
            self.handleError(record)


def status(text: str) -> AbstractContextManager[None]:
    """Show a spinner with a text on standard error until the block ends, to a person at a terminal."""
    handlers = logging.getLogger("earthreason").handlers
    # The console that logs: what it prints while the spinner turns goes above the spinner.
    console = next((handler.console for handler in handlers if isinstance(handler, LogHandler)), None) or stderr()
    return spinner(lambda: console.status(text))


def command_line(*words: object) -> str:
    """Write a command that can be pasted into a shell, whatever is in its words; None and "" are left out."""
    return shlex.join(str(word) for word in words if word not in (None, ""))


def make_app(name: str, purpose: str) -> typer.Typer:
    """Make a program of several commands, with the options that all programs have."""
    app = typer.Typer(
        name=name,
        help=purpose,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=HELP_OPTIONS,
    )

    @app.callback()
    def _common(
        verbose: VerboseOption = False,
        quiet: QuietOption = False,
        version: VersionOption = False,
        licence: LicenceOption = False,
    ) -> None:
        set_verbosity(verbose, quiet)

    return app


def guard(run: Callable[[], None]) -> None:
    """Run a command line; print an input error without a traceback and exit with 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # characters that its encoding lacks are printed as escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            _refuse_empty_words(sys.argv[1:])
            run()
        finally:
            if sys.stdout is not None:  # None if it was closed before the start
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
        reason = error.strerror
        if reason == os.strerror(errno.EEXIST):  # of a folder that was to be made
            reason = "is a file; give the name of a folder"
        _fail(f"{'cannot write' if error.filename is None else error.filename}: {reason}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None


def _refuse_empty_words(words: list[str]) -> None:
    """Refuse an empty argument: as a path, it would be the current folder.

    Raises:
        EarthReasonError: an argument, or the value of an option, is empty.
    """
    for before, word in pairwise(["", *words]):
        option, equals, value = word.partition("=")
        if not word or (option.startswith("--") and equals and not value):
            place = option or before
            after = f" after {place}" if place.startswith("-") else ""
            raise EarthReasonError(f"the argument{after} is empty: is a variable of the shell not set?")


def _fail(message: str) -> NoReturn:
    stderr().print("[red]error:[/red] ", end="", soft_wrap=True)
    if sys.stderr is not None:
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
    """Log to stderr at level INFO, DEBUG (-v) or ERROR (-q), and show no progress with -q.

    Raises:
        EarthReasonError: both are asked for.
    """
    if verbose and quiet:
        raise EarthReasonError("--verbose and --quiet exclude each other")
    set_quiet(quiet)
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    handler = LogHandler(stderr(), names_levels=verbose)
    logger = logging.getLogger("earthreason")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
