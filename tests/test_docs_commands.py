"""Every command that the documentation shows exists, with all its options."""

import re
import shlex
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*/README.md"))]
APPS = {
    "earthreason": "earthreason.cli.main",
    "earthreason-baselines": "baselines.cli",
    "earthreason-leaderboard": "leaderboard.cli",
    "earthreason-annotation": "annotation_tools.cli",
}
_BLOCK = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:earthreason|earthreason-\w+) [^`]+)`")
_VARIABLE = re.compile(r"[A-Z_]+=")


def commands_of(page):
    """Return the words of every command of ours on a page."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    spans = [" ".join(span.split()) for span in _SPAN.findall(text)]
    for line in [*lines, *spans]:
        words = shlex.split(line, comments=True)
        while words and _VARIABLE.match(words[0]):
            words.pop(0)
        if words and (words[0] in APPS or words[0] == "earthreason-eval"):
            yield words


@cache
def load(program):
    return typer.main.get_command(import_module(APPS[program]).app)


def find(words):
    """Return the command that words call, with the words left over."""
    program, *rest = ["earthreason", "eval", *words[1:]] if words[0] == "earthreason-eval" else words
    command = load(program)
    while hasattr(command, "commands"):
        while rest and rest[0] in options_of(command):
            rest.pop(0)
        if not rest or "|" in rest[0]:
            return command, []
        assert rest[0] in command.commands, f"{program} has no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    return command, rest


def options_of(command):
    names = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    return names | {"--help", "-h", "--install-completion"}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(commands_of(page))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_commands_of_a_page_exist_with_their_options(page):
    for words in commands_of(page):
        command, rest = find(words)
        given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert given <= options_of(command), " ".join(words)


def test_most_pages_show_commands():
    assert sum(1 for page in PAGES for _ in commands_of(page)) > 200


def test_configurations_that_pages_name_are_shipped():
    for page in PAGES:
        for words in commands_of(page):
            if words[:2] == ["earthreason-baselines", "train"] and "--config" in words:
                name = words[words.index("--config") + 1]
                if name.isupper():
                    continue  # a placeholder
                assert (ROOT / "baselines" / "configs" / f"{name}.yaml").is_file(), f"{page.name}: {name}"


def test_no_page_names_an_extra_that_a_distribution_lacks():
    extras = {}
    for file in [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml")]:
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        extras[project["name"]] = extras[file.parent.name] = set(project.get("optional-dependencies", {}))
    extras["."] = extras["earthreason"]
    for page in PAGES:
        for name, listed in re.findall(r"(?:\./)?([\w.-]+)\[([a-z0-9,]+)\]\"", page.read_text(encoding="utf-8")):
            assert {*listed.split(",")} <= extras[name], f"{page.name}: {name}[{listed}]"
