"""Load prompts: Markdown files with a version in the first line. Files in a user's folder replace the built-in ones."""

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
    """A prompt with {slots}.

    Attributes:
        name: name of the file, without `.md`.
        version: version in the first line.
        template: text after the first line.
    """

    name: str
    version: str
    template: str

    @property
    def identity(self) -> str:
        """Version and a digest of the text, so that a change without a new version still counts as a change."""
        return f"{self.version}-{hashlib.sha256(self.template.encode()).hexdigest()[:8]}"

    def fill(self, **values: object) -> str:
        """Fill every slot; leave other braces as they are.

        Raises:
            DataFormatError: a slot has no value.
        """

        def value(match: re.Match[str]) -> str:
            if match[1] not in values:
                raise DataFormatError(f"prompt {self.name}: unknown slot {{{match[1]}}}; known: {', '.join(values)}")
            return str(values[match[1]])

        return _SLOT.sub(value, self.template).strip()


def load_prompts(folder: Path | None = None) -> dict[str, PromptTemplate]:
    """Load the prompts of all stages; those in `folder` replace the built-in ones.

    Raises:
        DataNotFoundError: the folder does not exist or has no prompt.
        DataFormatError: the first line of a file is not a version.
    """
    if folder is not None and not any((folder / f"{name}.md").is_file() for name in NAMES):
        raise DataNotFoundError(f"{folder} has no prompts; expected one of {', '.join(f'{n}.md' for n in NAMES)}")
    prompts = {}
    for name in NAMES:
        path = (folder or BUILT_IN) / f"{name}.md"
        path = path if path.is_file() else BUILT_IN / path.name
        first, _, rest = path.read_text(encoding="utf-8").partition("\n")
        match = _FIRST_LINE.fullmatch(first.strip())
        if match is None:
            raise DataFormatError(f"{path}: the first line must be 'version: N', not {first.strip()[:40]!r}")
        prompts[name] = PromptTemplate(name, match[1], rest)
    return prompts
