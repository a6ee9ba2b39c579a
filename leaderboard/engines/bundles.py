"""Parts that the bundles of every competition host share: phases, the packed judge, pages and a logo."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image, ImageDraw

import earthreason
from earthreason.data.configs import DEFAULT_CONFIG
from earthreason.errors import EarthReasonError
from earthreason.metrics.references import References, write_references
from leaderboard.engines.scoring import PhaseFacts
from leaderboard.hidden import DECIMALS
from leaderboard.settings import Settings

IMAGE = "python:3.11-slim"
"""A public image that contains only Python; the scoring program installs missing packages."""
REQUIREMENTS = {
    "numpy": "numpy",
    "numba": "numba",
    "pycocotools": "pycocotools",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "msgspec": "msgspec",
}
"""Distributions that the judge needs, by the name of the module they install."""
SUBMISSIONS: int = Settings.model_fields["phase_limit"].default
"""Submissions per participant in a phase, as on the server."""
_ROOT = Path(__file__).parents[2]
_LEADERBOARD_MODULES = (
    "__init__.py",
    "accepted.py",
    "hidden.py",
    "records.py",
    "scoring.py",
    "engines/__init__.py",
    "engines/scoring.py",
    "engines/evalai_script.py",
)
_STAMP = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Phase:
    """A stage of a competition."""

    split: str
    title: str
    references: References
    start: datetime
    end: datetime | None
    a_day: int
    in_all: int
    hidden: bool = True
    config: str = DEFAULT_CONFIG

    @property
    def facts(self) -> PhaseFacts:
        return PhaseFacts(self.split, self.hidden)


def phases_of(
    references: Mapping[str, References],
    start: datetime,
    val_days: int,
    a_day: int,
    in_all: int = SUBMISSIONS,
    open_splits: Collection[str] = (),
    config: str = DEFAULT_CONFIG,
) -> list[Phase]:
    """Plan the phases: validation first, then test without an end.

    Args:
        references: the truth by split.
        start: start of the first phase.
        val_days: length of the validation phase, days.
        a_day: submissions per participant and day.
        in_all: submissions per participant in a phase.
        open_splits: splits whose labels are public; the others are hidden.
        config: dataset configuration of the splits.

    Raises:
        EarthReasonError: there is no split, or one that is neither val nor test.
    """
    titles = {"val": "Validation", "test": "Test"}
    if not references or {*references, *open_splits} - set(titles):
        raise EarthReasonError("a competition has the splits val and test")
    phases = []
    splits = [split for split in titles if split in references]
    for split in splits:
        end = None if split == splits[-1] else start + timedelta(days=val_days)
        hidden = split not in open_splits
        phases.append(Phase(split, titles[split], references[split], start, end, a_day, in_all, hidden, config))
        start = end or start
    return phases


def now() -> datetime:
    """Return the current minute, UTC."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


class Bundle:
    """A zip whose bytes depend only on its contents. Use as a context manager."""

    def __init__(self, target: Path | io.BytesIO) -> None:
        self._archive = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def put(self, name: str, content: str | bytes) -> None:
        """Add a file."""
        info = zipfile.ZipInfo(name, _STAMP)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        self._archive.writestr(info, content)

    def put_judge(self) -> None:
        """Add `earthreason` and the modules of the leaderboard that score."""
        for path in sorted((_ROOT / "earthreason").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                self.put(str(path.relative_to(_ROOT)), path.read_bytes())
        for name in _LEADERBOARD_MODULES:
            self.put(f"leaderboard/{name}", (_ROOT / "leaderboard" / name).read_bytes())


def truth_bytes(references: References) -> bytes:
    """Return the content of a ground-truth file."""
    with tempfile.TemporaryDirectory() as folder:
        write_references(Path(folder) / "truth.json", references)
        return (Path(folder) / "truth.json").read_bytes()


def pages_of(phases: list[Phase], title: str, upload: str) -> dict[str, str]:
    """Write the pages that participants read, as Markdown by name; `upload` says what to upload."""
    official = all(phase.config == DEFAULT_CONFIG for phase in phases)
    dataset = "Million-AID and fMoW" if official else f"their dataset, {phases[0].config}"
    sizes = ", ".join(f"{phase.split} ({len(phase.references)} images)" for phase in phases)
    return {
        "overview": f"# {title}\n\nEach question describes what to find in an overhead image without naming it. "
        f"Mark the pixels that answer it, or say that nothing in the image does. Phases: {sizes}.\n\n{upload} Masks "
        "are named `SAMPLE_ID.png`. `earthreason-eval` reads the same forms.\n",
        "evaluation": f"# Evaluation\n\nScored by earthreason {earthreason.__version__}, the same code as "
        "`earthreason-eval`, under the official protocol (letterbox 1024, first question) and at native size. gIoU is "
        "the mean IoU over questions; an empty answer to an empty target counts as 1. cIoU is the sum of all "
        "intersections divided by the sum of all unions. Scores are fractions"
        f"{_rounding(phases)}.\n",
        "terms": "# Terms\n\nState what your model was trained on. The images are subject to the terms of "
        f"{dataset}. The organisers may remove results that were made with labels of the scored split.\n",
    }


def _rounding(phases: list[Phase]) -> str:
    hidden = " and ".join(phase.split for phase in phases if phase.hidden)
    return f", rounded to {DECIMALS} decimals for {hidden}, because the labels are hidden" if hidden else ""


def logo() -> bytes:
    """Draw the logo, as PNG."""
    picture = Image.new("RGB", (256, 256), (0, 116, 90))
    pen = ImageDraw.Draw(picture)
    for place, top in enumerate((120, 72, 136, 96)):
        pen.rectangle((48 + 44 * place, top, 72 + 44 * place, 192), fill="white")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
