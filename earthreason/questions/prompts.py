"""Prompts are markdown files with a version in their first line; a folder of one's own may replace any of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from earthreason.errors import DataFormatError, DataNotFoundError

BUILT_IN = Path(__file__).parent / "templates"
NAMES = ("propose", "absent", "rewrite", "judge")
_FIRST_LINE = re.compile(r"version: (\S+)")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class PromptTemplate:
    """A template.

    Attributes:
        name: of the stage.
        version: from the first line.
        template: the text after it, with {slots}.
    """

    name: str
    version: str
    template: str

    @property
    def identity(self) -> str:
        """Version and a digest of the text: a change that forgot the version still counts as a change."""
        return f"{self.version}-{hashlib.sha256(self.template.encode()).hexdigest()[:8]}"

    def fill(self, **values: object) -> str:
        """The text with every slot filled; braces that are no slot stay.

        Raises:
            DataFormatError: a slot has no value.
        """

        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise DataFormatError(f"prompt {self.name}: unknown slot {{{match[1]}}}; known: {', '.join(values)}")
            return str(values[match[1]])

        return _SLOT.sub(value, self.template).strip()


def load_prompts(folder: Path | None = None) -> dict[str, PromptTemplate]:
    """The prompts of all stages; those in `folder` replace the built-in ones.

    Raises:
        DataNotFoundError: the folder is not there or holds no prompt.
        DataFormatError: a file's first line states no version.
    """
    if folder is not None and not any((folder / f"{name}.md").is_file() for name in NAMES):
        raise DataNotFoundError(f"{folder} holds no prompts; expected one of {', '.join(f'{n}.md' for n in NAMES)}")
    found = {}
    for name in NAMES:
        own = folder / f"{name}.md" if folder is not None else None
        path = own if own is not None and own.is_file() else BUILT_IN / f"{name}.md"
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        match = _FIRST_LINE.fullmatch(first.strip())
        if match is None:
            raise DataFormatError(f"{path}: the first line is 'version: N', found {first.strip()[:40]!r}")
        found[name] = PromptTemplate(name, match[1], rest)
    return found
