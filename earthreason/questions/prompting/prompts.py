"""Load prompts: Markdown files with a version in the first line and a section for each message.

The sections are `# System`, `# User`, and any number of pairs of `# Example user` and `# Example assistant`. Files in a
user's folder replace the built-in ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earthreason.errors import DataFormatError, DataNotFoundError, UnknownNameError
from earthreason.files import read_text

BUILT_IN = Path(__file__).parent / "templates"
_COMMON = ("hints", "language", "pictures")
_SLOTS: dict[str, tuple[str, ...]] = {
    "propose": (*_COMMON, "count", "answers"),
    "absent": (*_COMMON, "count", "concepts"),
    "rewrite": ("language", "count", "target", "questions"),
    "judge": (*_COMMON, "target", "questions", "answers"),
    "judge_absent": (*_COMMON, "concept", "questions"),
}
"""Slots of each prompt."""
_NEEDED = {
    "absent": ("concepts",),
    "rewrite": ("questions", "target"),
    "judge": ("questions", "answers", "target"),
    "judge_absent": ("questions", "concept"),
}
"""Slots without which a prompt does not say what is asked about."""
_OTHERS = ("changelog.md", "readme.md")
"""Files in a folder of prompts that may be something else."""
NAMES = tuple(_SLOTS)
_SYSTEM, _USER, _EXAMPLE_USER, _EXAMPLE_ASSISTANT = "System", "User", "Example user", "Example assistant"
_FIRST_LINE = re.compile(r"version: (\S+)")
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Messages:
    """A filled prompt: the system message, example turns of user and assistant, and the user's message."""

    system: str
    examples: tuple[tuple[str, str], ...]
    user: str


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt with {slots}.

    Attributes:
        name: name of the file, without `.md`.
        version: version in the first line.
        template: text after the first line.
        messages: its sections, with slots in the first and the last.
    """

    name: str
    version: str
    template: str
    messages: Messages

    @property
    def identity(self) -> str:
        """Version and a digest of the text, so that a change without a new version still counts as a change."""
        return f"{self.version}-{hashlib.sha256(self.template.encode()).hexdigest()[:8]}"

    def fill(self, **values: object) -> Messages:
        """Fill every slot of the system and user message; leave other braces, and the examples, as they are.

        Raises:
            KeyError: a slot has no value.
        """

        def filled(text: str) -> str:
            return _SLOT.sub(lambda match: str(values[match[1]]), text)

        parts = self.messages
        return Messages(filled(parts.system), parts.examples, filled(parts.user))


def load_prompts(folder: Path | None = None) -> dict[str, PromptTemplate]:
    """Load the prompts of all stages; those in `folder` replace the built-in ones.

    Raises:
        DataNotFoundError: the folder does not exist or has no prompt.
        DataFormatError: a file is malformed.
    """
    if folder is not None:
        check_folder(folder)
    prompts = {}
    for name in NAMES:
        path = (folder or BUILT_IN) / f"{name}.md"
        prompts[name] = read_prompt(path if path.is_file() else BUILT_IN / path.name)
    return prompts


def check_folder(folder: Path) -> None:
    """Check that a folder has prompts, and no file that was meant to be one.

    Raises:
        DataNotFoundError: the folder does not exist or has no prompt.
        DataFormatError: it has a Markdown file of another name, or a folder with the name of a prompt.
    """
    files = [f"{name}.md" for name in NAMES]
    if not any((folder / name).is_file() for name in files):
        raise DataNotFoundError(f"{folder} has no prompts; expected one of {', '.join(files)}")
    for path in sorted(folder.iterdir()):
        lowered = path.name.lower()
        if path.suffix.lower() != ".md" or lowered in _OTHERS or (path.name in files and path.is_file()):
            continue
        raise DataFormatError(f"{path}: not a prompt; {UnknownNameError('prompt', path.name, files)}")


def version_of(path: Path) -> str:
    """Return the version in the first line of a prompt.

    Raises:
        DataFormatError: the first line is not a version, or the file is not text.
    """
    return _split(path)[0]


def read_prompt(path: Path) -> PromptTemplate:
    """Read a prompt.

    Raises:
        DataFormatError: the first line is not a version, a section is missing, unknown or repeated, the examples are no
            pairs, or a slot is unknown or missing.
    """
    version, text = _split(path)
    messages = _messages_of(path, text)
    name = path.stem
    given = set(_SLOT.findall(messages.system + messages.user))
    unknown = sorted(given - set(_SLOTS[name]))
    if unknown:
        raise DataFormatError(f"{path}: unknown slot {{{unknown[0]}}}; known: {', '.join(_SLOTS[name])}")
    missing = [slot for slot in _NEEDED.get(name, ()) if slot not in given]
    if missing:
        raise DataFormatError(f"{path}: the slot {{{missing[0]}}} is missing; the model would not know it")
    for turn in messages.examples:
        slot = next((found for text in turn for found in _SLOT.findall(text) if found in _SLOTS[name]), None)
        if slot is not None:
            raise DataFormatError(f"{path}: an example has the slot {{{slot}}}, but examples are sent as they stand")
    return PromptTemplate(name, version, text, messages)


def _split(path: Path) -> tuple[str, str]:
    first, _, rest = read_text(path).partition("\n")
    match = _FIRST_LINE.fullmatch(first.strip())
    if match is None:
        raise DataFormatError(f"{path}: the first line must be 'version: N', not {first.strip()[:40]!r}")
    return match[1], rest


def _messages_of(path: Path, text: str) -> Messages:
    before, *parts = _HEADING.split(text)
    sections = [(heading.strip(), body.strip()) for heading, body in zip(parts[::2], parts[1::2], strict=True)]
    known = (_SYSTEM, _USER, _EXAMPLE_USER, _EXAMPLE_ASSISTANT)
    listed = ", ".join(f"'# {heading}'" for heading in known)
    if before.strip() or not sections:
        raise DataFormatError(f"{path}: text before the first section; the sections are {listed}")
    for heading, body in sections:
        if heading not in known:
            raise DataFormatError(f"{path}: unknown section '# {heading}'; the sections are {listed}")
        if not body:
            raise DataFormatError(f"{path}: the section '# {heading}' is empty")
    once = {heading: [body for found, body in sections if found == heading] for heading in (_SYSTEM, _USER)}
    if len(once[_SYSTEM]) > 1 or len(once[_USER]) != 1:
        raise DataFormatError(f"{path}: one section '# {_USER}' is needed, and at most one '# {_SYSTEM}'")
    turns = [(heading, body) for heading, body in sections if heading not in once]
    return Messages("".join(once[_SYSTEM]), tuple(_pairs(path, turns)), once[_USER][0])


def _pairs(path: Path, turns: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    wanted = [_EXAMPLE_USER, _EXAMPLE_ASSISTANT] * (len(turns) // 2)
    if [heading for heading, _ in turns] != wanted:
        raise DataFormatError(f"{path}: every '# {_EXAMPLE_USER}' is followed by its '# {_EXAMPLE_ASSISTANT}'")
    for asked, answered in zip(turns[::2], turns[1::2], strict=True):
        yield asked[1], answered[1]
