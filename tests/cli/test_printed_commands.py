"""Every command line that a program prints, or an error recommends, exists: its command, options and arguments."""

import ast
import re
import shlex
from functools import cache

import click
import pytest

from tests.terminal import ROOT
from tests.test_docs_commands import APPS, find, options_of

FOLDERS = ("earthreason", "baselines", "leaderboard", "annotation_tools")
SOURCES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))
PROGRAMS = {*APPS, "earthreason-eval"}
VALUE = "VALUE"
"""Stands for what is known only when the line is printed."""
_QUOTED = re.compile(r"`((?:earthreason|earthreason-\w+) [^`]+)`")
_AFTER_COLON = re.compile(r"(?:\w: |^Example: )((?:earthreason|earthreason-\w+) [a-z][^\n`;]*)", re.MULTILINE)


def words_of(call: ast.Call, function: ast.AST) -> list[str]:
    """Return the words of a call of `command_line`; `*words` are looked up in its function."""
    words = []
    for given in call.args:
        listed = [given]
        if isinstance(given, ast.Starred):
            (listed,) = (
                assigned.value.elts
                for assigned in ast.walk(function)
                if isinstance(assigned, ast.Assign) and ast.unparse(assigned.targets[0]) == ast.unparse(given.value)
            )
        fixed = [word for word in listed if not isinstance(word, ast.Starred)]  # the others depend on the data
        words += [str(word.value) if isinstance(word, ast.Constant) else VALUE for word in fixed]
    return words


def texts_of(tree: ast.AST) -> list[str]:
    """Return all texts, with `VALUE` for what an f-string inserts."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in inside]
    texts += [
        "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
    ]
    return [text for text in texts if isinstance(text, str)]


@cache
def calls() -> list[tuple[str, list[str]]]:
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name != "command_line":
                found += [
                    (f"{path.relative_to(ROOT)}:{call.lineno}", words_of(call, function))
                    for call in ast.walk(function)
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "command_line"
                ]
    return found


@cache
def mentions() -> list[tuple[str, str]]:
    found = []
    for path in SOURCES:
        for text in texts_of(ast.parse(path.read_text(encoding="utf-8"))):
            lines = [" ".join(line.split()) for line in [*_QUOTED.findall(text), *_AFTER_COLON.findall(text)]]
            place = str(path.relative_to(ROOT))
            found += [(place, line.removesuffix(" ...")) for line in lines if line.split()[0] in PROGRAMS]
    return found


@pytest.mark.parametrize(("place", "words"), [pytest.param(*call, id=call[0]) for call in calls()])
def test_a_printed_next_step_is_a_complete_command(place, words):
    command, rest = find(words)
    command.make_context(command.name, rest)  # refuses unknown options, and required ones that are not there


def test_every_program_prints_next_steps():
    assert {words[0] for _, words in calls()} >= {"earthreason", "earthreason-eval", *list(APPS)[1:2], *list(APPS)[3:]}


def test_commands_in_messages_help_and_docstrings_exist_with_their_options():
    listed = mentions()
    assert len(listed) > 100
    for place, line in listed:
        try:
            command, rest = find(shlex.split(line))
        except (AssertionError, ValueError) as error:
            pytest.fail(f"{place}: {line}: {error}")
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given <= options_of(command), f"{place}: {line}"


def test_examples_of_help_are_complete_commands():
    for place, line in mentions():
        words = shlex.split(line)
        command, rest = find(words)
        examples = re.findall(r"Example: (.+)", command.callback.__doc__ or "") if command.callback else []
        if line in examples:
            try:
                command.make_context(command.name, rest)
            except click.ClickException as error:
                pytest.fail(f"{place}: {line}: {error.format_message()}")
