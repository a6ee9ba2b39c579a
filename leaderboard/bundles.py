"""Bundles for other engines: Codabench competitions and EvalAI challenges, each with the judge inside."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from PIL import Image, ImageDraw

import earthreason
from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path
from earthreason.metrics.references import References, write_references
from leaderboard.engine_scoring import COLUMNS

_ROOT = Path(__file__).parent.parent
_OURS = ("__init__.py", "records.py", "scoring.py", "engine_scoring.py", "evalai.py")
_STAMP = (2020, 1, 1, 0, 0, 0)
_REQUIREMENTS = {
    "numpy": "numpy",
    "numba": "numba",
    "pycocotools": "pycocotools",
    "PIL": "pillow",
    "pydantic": "pydantic",
}
"""Distributions that the judge needs, by the name by which they are imported."""
IMAGE = "python:3.11-slim"
"""A public image with nothing but Python; the scoring program installs what an image lacks."""
_SCORE = f"""import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
missing = [name for module, name in {_REQUIREMENTS}.items() if find_spec(module) is None]
if missing:  # the image is a plain Python
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", *missing], check=True)

from leaderboard.engine_scoring import run_codabench

sys.exit(run_codabench(sys.argv))
"""


@dataclass(frozen=True)
class Phase:
    """A stage of a competition."""

    split: str
    title: str
    references: References
    start: datetime
    end: datetime | None
    a_day: int


def phases_of(references: Mapping[str, References], start: datetime, val_days: int, a_day: int) -> list[Phase]:
    """Validation first, then test without an end.

    Raises:
        EarthReasonError: no split, or one that is neither.
    """
    titles = {"val": "Validation", "test": "Test"}
    if not references or set(references) - set(titles):
        raise EarthReasonError("a competition has the splits val and test")
    phases = []
    splits = [split for split in titles if split in references]
    for split in splits:
        end = None if split == splits[-1] else start + timedelta(days=val_days)
        phases.append(Phase(split, titles[split], references[split], start, end, a_day))
        start = end or start
    return phases


class _Zip:
    """A zip whose bytes depend on its contents only."""

    def __init__(self, target: Path | io.BytesIO) -> None:
        self._archive = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)

    def __enter__(self) -> _Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def put(self, name: str, content: str | bytes) -> None:
        info = zipfile.ZipInfo(name, _STAMP)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        self._archive.writestr(info, content)


def put_judge(archive: _Zip, folder: str = "") -> None:
    """Put `earthreason`, and of the leaderboard what scores, into a bundle."""
    for path in sorted((_ROOT / "earthreason").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            archive.put(f"{folder}{path.relative_to(_ROOT)}", path.read_bytes())
    for name in _OURS:
        archive.put(f"{folder}leaderboard/{name}", (_ROOT / "leaderboard" / name).read_bytes())


def truth_bytes(references: References) -> bytes:
    """A ground-truth file."""
    with tempfile.TemporaryDirectory() as folder:
        write_references(Path(folder) / "truth.json", references)
        return (Path(folder) / "truth.json").read_bytes()


def write_codabench(target: Path, phases: list[Phase], image: str, title: str) -> None:
    """Write a Codabench competition bundle (its YAML's version 2).

    Args:
        target: the zip.
        phases: in order of time.
        image: the docker image that scores; `docker/Dockerfile` in the bundle makes one that need not install anything.
        title: of the competition.
    """
    with atomic_path(target) as temporary, _Zip(temporary) as bundle:
        bundle.put("competition.yaml", yaml.safe_dump(_competition(phases, image, title), sort_keys=False))
        bundle.put("logo.png", _logo())
        for name, text in _pages(phases).items():
            bundle.put(f"pages/{name}.md", text)
        installed = " ".join(_REQUIREMENTS.values())
        bundle.put("docker/Dockerfile", f"FROM {IMAGE}\nRUN pip install --no-cache-dir {installed}\n")
        bundle.put("scoring_program.zip", _codabench_program())
        for phase in phases:
            bundle.put(f"reference_{phase.split}.zip", _reference(phase))


def _codabench_program() -> bytes:
    buffer = io.BytesIO()
    with _Zip(buffer) as program:
        program.put("metadata.yaml", "command: python3 /app/program/score.py /app/input /app/output\n")
        program.put("score.py", _SCORE)
        put_judge(program)
    return buffer.getvalue()


def _reference(phase: Phase) -> bytes:
    buffer = io.BytesIO()
    with _Zip(buffer) as archive:
        archive.put("split.json", json.dumps({"split": phase.split}))
        archive.put("truth.json", truth_bytes(phase.references))
    return buffer.getvalue()


def _competition(phases: list[Phase], image: str, title: str) -> dict[str, Any]:
    return {
        "version": 2,
        "title": title,
        "description": "Geospatial pixel reasoning: an overhead image and an implicit question, a mask or nothing.",
        "image": "logo.png",
        "terms": "pages/terms.md",
        "registration_auto_approve": True,
        "docker_image": image,
        "make_programs_available": True,
        "enable_detailed_results": True,
        "pages": [{"title": name.capitalize(), "file": f"pages/{name}.md"} for name in ("overview", "evaluation")],
        "fact_sheet": {
            "training": _question("training", "What has it seen of EarthReason?", ["trained", "few-shot", "zero-shot"]),
            "extra_data": _question("extra_data", "Training data beyond EarthReason", ""),
            "paper": _question("paper", "Paper or code (address)", ""),
        },
        "tasks": [
            {
                "index": index,
                "name": phase.title,
                "description": f"{len(phase.references)} images of the {phase.split} split",
                "reference_data": f"reference_{phase.split}.zip",
                "scoring_program": "scoring_program.zip",
            }
            for index, phase in enumerate(phases)
        ],
        "phases": [_phase(index, phase) for index, phase in enumerate(phases)],
        "leaderboards": [
            {
                "title": "Results",
                "key": "main",
                "submission_rule": "Force_Best",
                "columns": [
                    {"title": heading, "key": key, "index": index, "sorting": "desc", "precision": 4}
                    for index, (key, (_, _, heading)) in enumerate(COLUMNS.items())
                ],
            }
        ],
    }


def _question(key: str, title: str, selection: list[str] | str) -> dict[str, Any]:
    return {
        "key": key,
        "type": "select" if selection else "text",
        "title": title,
        "selection": selection,
        "is_required": "true" if selection else "false",
        "is_on_leaderboard": "true" if selection else "false",
    }


def _phase(index: int, phase: Phase) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "index": index,
        "name": phase.title,
        "description": f"Predictions for the first question about each of {len(phase.references)} images.",
        "start": phase.start.strftime("%Y-%m-%d %H:%M:%S"),
        "max_submissions_per_day": phase.a_day,
        "execution_time_limit": 600,
        "accepts_only_result_submissions": True,
        "hide_output": phase.split == "test",
        "hide_score_output": phase.split == "test",
        "tasks": [index],
    }
    if phase.end is not None:
        facts["end"] = phase.end.strftime("%Y-%m-%d %H:%M:%S")
    return facts


def _pages(phases: list[Phase]) -> dict[str, str]:
    sizes = ", ".join(f"{phase.split} ({len(phase.references)} images)" for phase in phases)
    return {
        "overview": f"# EarthReason\n\nAsk an overhead image a question that names nothing and mark the pixels that "
        f"answer it, or say that nothing there does. Phases: {sizes}.\n\nUpload a zip that holds one "
        "`predictions.json`, as `earthreason` writes it, or PNG masks named `SAMPLE_ID.png`.\n",
        "evaluation": f"# Evaluation\n\nScored by earthreason {earthreason.__version__}, the same code as "
        "`earthreason-eval`, under the official protocol (letterbox 1024, first question) and at native size. gIoU is "
        "the mean IoU over questions, an empty answer to an empty target counts 1; cIoU is the sum of intersections "
        "over the sum of unions. Fractions.\n",
        "terms": "# Terms\n\nState what your model was trained on. The images are under the terms of Million-AID and "
        "fMoW. The organisers may remove results that were made with labels of the scored split.\n",
    }


def _logo() -> bytes:
    picture = Image.new("RGB", (256, 256), (0, 116, 90))
    pen = ImageDraw.Draw(picture)
    for place, top in enumerate((120, 72, 136, 96)):
        pen.rectangle((48 + 44 * place, top, 72 + 44 * place, 192), fill="white")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_evalai(target: Path, phases: list[Phase], title: str) -> None:
    """Write an EvalAI challenge: configuration, annotation files, and the evaluation script with the judge inside."""
    with atomic_path(target) as temporary, _Zip(temporary) as bundle:
        bundle.put("challenge_config.yaml", yaml.safe_dump(_challenge(phases, title), sort_keys=False))
        bundle.put("logo.png", _logo())
        for name, text in _pages(phases).items():
            bundle.put(f"templates/{name}.html", f"<pre>{text}</pre>")
        for phase in phases:
            bundle.put(f"annotations/{phase.split}.json", truth_bytes(phase.references))
        buffer = io.BytesIO()
        with _Zip(buffer) as script:
            script.put(
                "__init__.py",
                "import sys\nfrom pathlib import Path\n\nsys.path.insert(0, str(Path(__file__).resolve().parent))\n"
                "from leaderboard.evalai import evaluate\n",
            )
            script.put("requirements.txt", "\n".join(_REQUIREMENTS.values()) + "\n")
            put_judge(script)
        bundle.put("evaluation_script.zip", buffer.getvalue())


def _challenge(phases: list[Phase], title: str) -> dict[str, Any]:
    labels = [heading for _, _, heading in COLUMNS.values()]
    return {
        "title": title,
        "short_description": "Geospatial pixel reasoning",
        "description": "templates/overview.html",
        "evaluation_details": "templates/evaluation.html",
        "terms_and_conditions": "templates/terms.html",
        "submission_guidelines": "templates/overview.html",
        "image": "logo.png",
        "evaluation_script": "evaluation_script.zip",
        "remote_evaluation": False,
        "start_date": phases[0].start.strftime("%Y-%m-%d %H:%M:%S"),
        "end_date": (phases[0].start + timedelta(days=3650)).strftime("%Y-%m-%d %H:%M:%S"),
        "published": False,
        "leaderboard": [{"id": 1, "schema": {"labels": labels, "default_order_by": labels[0]}}],
        "challenge_phases": [
            {
                "id": number,
                "name": phase.title,
                "description": "templates/overview.html",
                "leaderboard_public": True,
                "is_public": True,
                "is_submission_public": phase.split != "test",
                "start_date": phase.start.strftime("%Y-%m-%d %H:%M:%S"),
                "end_date": (phase.end or phase.start + timedelta(days=3650)).strftime("%Y-%m-%d %H:%M:%S"),
                "test_annotation_file": f"annotations/{phase.split}.json",
                "codename": phase.split,
                "max_submissions_per_day": phase.a_day,
                "allowed_submission_file_types": ".json, .zip",
            }
            for number, phase in enumerate(phases, start=1)
        ],
        "dataset_splits": [
            {"id": number, "name": phase.title, "codename": f"{phase.split}_split"}
            for number, phase in enumerate(phases, start=1)
        ],
        "challenge_phase_splits": [
            {"challenge_phase_id": number, "leaderboard_id": 1, "dataset_split_id": number, "visibility": 3}
            for number in range(1, len(phases) + 1)
        ],
    }


def now() -> datetime:
    """The current minute, UTC."""
    return datetime.now(UTC).replace(second=0, microsecond=0)
