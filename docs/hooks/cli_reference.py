"""Writes the reference of the commands while MkDocs builds: help, arguments and options of every command of a program.

A page under `reference/commands/` has an introduction and the line `<!-- commands: PROGRAM -->`, which this replaces.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import typer.main

# The commands of this checkout, not those of an installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

APPS = {
    "earthreason": "earthreason.cli.main",
    "earthreason-baselines": "baselines.cli",
    "earthreason-leaderboard": "leaderboard.cli",
    "earthreason-annotation": "annotation_tools.cli",
}
"""Module with the `app` of every program."""
_MARKER = re.compile(r"^<!-- commands: (\S+) -->$", re.MULTILINE)
_OPTION = re.compile(r"<code>(--?[a-z][\w-]*)</code>")
_NOTE = re.compile(r"\s*\[((?:default|required|env var)[^\[\]]*|x[<>=][^\[\]]*|\d[^\[\]]*<=x[^\[\]]*)\]$")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marker of a page by the commands of its program. MkDocs calls this for every page."""
    return _MARKER.sub(lambda found: describe_program(found[1]), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Mark options in the text, so that the style keeps a line from breaking after their hyphens."""
    return _OPTION.sub(r'<code class="option">\1</code>', html)


def describe_program(program: str) -> str:
    """Describe a program and all its commands in Markdown, a second-level heading for each.

    Args:
        program: key of `APPS`.
    """
    root = typer.main.get_command(import_module(APPS[program]).app)
    return "\n\n".join(_describe(command, context) for command, context in _walk(root, program))


def _walk(command: Any, name: str, parent: Any = None) -> Iterator[tuple[Any, Any]]:
    """Yield a command and all below it, each with its context."""
    context = command.context_class(command, info_name=name, parent=parent)
    yield command, context
    for child, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _walk(below, child, context)


def _describe(command: Any, context: Any) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}", f"```text\n{usage}\n```", _paragraphs(command.help or "")]
    commands = {name: each for name, each in getattr(command, "commands", {}).items() if not each.hidden}
    if commands:
        path = context.command_path
        rows = [f"| [`{name}`](#{_slug(path, name)}) | {_summary(each)} |" for name, each in commands.items()]
        parts.append("\n".join(["| command | what it does |", "|---|---|", *rows]))
    records = [
        record
        for parameter in command.get_params(context)
        if parameter.name != "help" and (record := parameter.get_help_record(context))
    ]
    if records:
        parts.append("\n".join(["| option | meaning | default |", "|---|---|---|", *map(_row, records)]))
    return "\n\n".join(parts)


def _slug(path: str, name: str) -> str:
    return f"{path} {name}".replace(" ", "-")


def _summary(command: Any) -> str:
    """Return the first sentence of a command's help, which a list in the terminal would cut off."""
    first = " ".join((command.help or "").partition("\n\n")[0].split())
    return _escape(re.split(r"(?<=\.) (?=[A-Z])", first)[0])


def _paragraphs(text: str) -> str:
    """Return the help as Markdown, with examples as code."""
    parts = []
    for paragraph in text.replace("\b\n", "").split("\n\n"):
        words = " ".join(paragraph.split())
        title, colon, example = words.partition("Example: ")
        parts.append(f"```sh\n{example}\n```" if colon and not title else _escape(words))
    return "\n\n".join(parts)


def _row(record: tuple[str, str]) -> str:
    name, meaning = record
    name = re.sub(r"<list\[(.+)\]>", r"<\1>", name).replace(" range>", ">")
    note = _NOTE.search(meaning)
    default = note[1].replace("default: ", "") if note else ""
    return f"| `{name}` | {_escape(_NOTE.sub('', meaning))} | {_escape(default)} |"


def _escape(text: str) -> str:
    """Escape what Markdown would read as markup, except in code."""
    escapes = {"<": "&lt;", "*": r"\*", "|": r"\|", "[": r"\[", "$": "&#36;"}
    pieces = re.split(r"(`[^`]+`|[<*|[$])", " ".join(text.split()))
    return "".join(escapes.get(piece, piece) for piece in pieces)
