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
from earthreason.data.catalogue import get_set
from earthreason.data.configs import DEFAULT_CONFIG
from earthreason.errors import EarthReasonError
from earthreason.metrics.protocols import NATIVE, get_protocol, protocol_of
from earthreason.metrics.references import References, write_references
from earthreason.metrics.scores import N_ACC, T_ACC
from earthreason.plurals import count_of
from earthreason.reports.rules import describe_rules

from ..hidden import DECIMALS, count_cases, ignores_pixels
from ..settings import Settings
from .requirements import pin_requirements
from .scoring import Column, PhaseFacts, columns_for

SUBMISSIONS: int = Settings.model_fields["phase_limit"].default
"""Submissions per participant in a phase, as on the server."""
_PACKAGE = Path(__file__).parents[1]
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
    hidden: bool
    config: str
    main_protocol: str

    @property
    def facts(self) -> PhaseFacts:
        return PhaseFacts(self.split, self.hidden, self.config, self.main_protocol)


def phases_of(
    references: Mapping[str, References],
    start: datetime,
    val_days: int,
    a_day: int,
    in_all: int = SUBMISSIONS,
    open_splits: Collection[str] = (),
    config: str = DEFAULT_CONFIG,
    main_protocol: str | None = None,
) -> list[Phase]:
    """Plan the phases: validation first, then test without an end.

    Args:
        references: the truth by split.
        start: start of the first phase.
        val_days: length of the validation phase, days.
        a_day: submissions per participant and day.
        in_all: submissions per participant in a phase.
        open_splits: splits whose labels are public; the others are hidden.
        config: config of the data.
        main_protocol: protocol of the first columns; None stands for that of the config.

    Raises:
        EarthReasonError: there is no split, or one that is neither val nor test.
    """
    titles = {"val": "Validation", "test": "Test"}
    if not references or {*references, *open_splits} - set(titles):
        raise EarthReasonError("a competition has the splits val and test, or one of them; others have no phase")
    main = protocol_of(config) if main_protocol is None else get_protocol(main_protocol)
    phases = []
    splits = [split for split in titles if split in references]
    for split in splits:
        end = None if split == splits[-1] else start + timedelta(days=val_days)
        hidden = split not in open_splits
        content = split, titles[split], references[split]
        phases.append(Phase(*content, start, end, a_day, in_all, hidden, config, main.name))
        start = end or start
    return phases


def columns_of_phases(phases: list[Phase]) -> dict[str, Column]:
    """List the columns of a host's board by key: the figures that are shown and that the truth of a phase defines."""
    main = get_protocol(phases[0].main_protocol)
    counts = [count_cases(phase.references, main) for phase in phases]
    undefined = {N_ACC.name} if not any(empty for _, empty in counts) else set()
    undefined |= {T_ACC.name} if not any(cases - empty for cases, empty in counts) else set()
    ignored = any(phase.hidden and ignores_pixels(phase.references) for phase in phases)
    columns = columns_for(main.name, ignored=ignored)
    return {key: column for key, column in columns.items() if column.score not in undefined}


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
        """Add `earthreason`, the modules of the leaderboard that score, and `requirements.txt`, which they need."""
        self.put("requirements.txt", "\n".join(pin_requirements()) + "\n")
        judge = Path(earthreason.__file__).parent
        for path in sorted(judge.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                self.put(str(Path(judge.name) / path.relative_to(judge)), path.read_bytes())
        for name in _LEADERBOARD_MODULES:
            self.put(f"leaderboard/{name}", (_PACKAGE / name).read_bytes())


def truth_bytes(references: References) -> bytes:
    """Return the content of a ground-truth file."""
    with tempfile.TemporaryDirectory() as folder:
        write_references(Path(folder) / "truth.json", references)
        return (Path(folder) / "truth.json").read_bytes()


def pages_of(phases: list[Phase], title: str, upload: str) -> dict[str, str]:
    """Write the pages that participants read, as Markdown by name; `upload` says what to upload."""
    about, main = get_set(phases[0].config).about, get_protocol(phases[0].main_protocol)
    native = "" if main is NATIVE else " and at native size"
    sizes = ", ".join(f"{phase.split} ({count_of(len(phase.references), 'image')})" for phase in phases)
    return {
        "overview": f"# {title}\n\nEach question or expression says what to find in an overhead image. "
        f"Mark the pixels that answer it, or say that nothing in the image does. Phases: {sizes}.\n\n{upload} Masks "
        "are named `SAMPLE_ID.png`. `earthreason-eval` reads the same forms.\n",
        "evaluation": f"# Evaluation\n\nScored by earthreason {earthreason.__version__}, the same code as "
        f"`earthreason-eval`, under the protocol {main.title}{native}. Rules of the protocol: {describe_rules(main)}. "
        "gIoU is the mean IoU, and cIoU the sum of all intersections divided by the sum of all unions. Scores are "
        "fractions"
        f"{_rounding(phases)}.\n",
        "terms": f"# Terms\n\nState what your model was trained on. Licence of the data: {about.licence}. The "
        "organisers may remove results that were made with labels of the scored split.\n",
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
