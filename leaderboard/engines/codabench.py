"""Codabench competition bundles, with the judge as the scoring program."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from earthreason.files import private_path
from earthreason.metrics.protocols import get_protocol
from earthreason.plurals import count_of
from earthreason.reports.rules import QUESTIONS

from ..accepted import DESCRIPTION
from ..hidden import DECIMALS
from .bundles import Bundle, Phase, columns_of_phases, logo, pages_of, truth_bytes
from .requirements import IMAGE, MODULES, pin_requirements

_SCORE_PROGRAM = f"""import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

program = Path(__file__).resolve().parent
sys.path.insert(0, str(program))
if not all(map(find_spec, {list(MODULES)})):  # the image is a plain Python
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(program / "requirements.txt")], check=True)

from leaderboard.engines.scoring import run_codabench

sys.exit(run_codabench(sys.argv))
"""


def write_codabench(target: Path, phases: list[Phase], image: str, title: str) -> None:
    """Write a Codabench competition bundle (version 2 of its YAML).

    Args:
        target: zip to write.
        phases: phases in chronological order.
        image: Docker image that scores; `docker/Dockerfile` in the bundle builds one with everything installed.
        title: title of the competition.
    """
    with private_path(target) as temporary, Bundle(temporary) as bundle:
        bundle.put("competition.yaml", yaml.safe_dump(_competition(phases, image, title), sort_keys=False))
        bundle.put("logo.png", logo())
        upload = f"Upload a zip that holds one predictions file or the masks themselves. Forms: {DESCRIPTION}."
        for name, text in pages_of(phases, title, upload).items():
            bundle.put(f"pages/{name}.md", text)
        installed = " ".join(pin_requirements())
        bundle.put("docker/Dockerfile", f"FROM {IMAGE}\nRUN pip install --no-cache-dir {installed}\n")
        bundle.put("scoring_program.zip", _scoring_program())
        for phase in phases:
            bundle.put(f"reference_{phase.split}.zip", _reference_data(phase))


def _scoring_program() -> bytes:
    buffer = io.BytesIO()
    with Bundle(buffer) as program:
        program.put("metadata.yaml", "command: python3 /app/program/score.py /app/input /app/output\n")
        program.put("score.py", _SCORE_PROGRAM)
        program.put_judge()
    return buffer.getvalue()


def _reference_data(phase: Phase) -> bytes:
    buffer = io.BytesIO()
    with Bundle(buffer) as archive:
        archive.put("split.json", json.dumps(asdict(phase.facts)))
        archive.put("truth.json", truth_bytes(phase.references))
    return buffer.getvalue()


def _competition(phases: list[Phase], image: str, title: str) -> dict[str, Any]:
    decimals = DECIMALS if all(phase.facts.hidden for phase in phases) else 4
    return {
        "version": 2,
        "title": title,
        "description": "Geospatial pixel reasoning: answer a question about an overhead image with a mask.",
        "image": "logo.png",
        "terms": "pages/terms.md",
        "registration_auto_approve": True,
        "docker_image": image,
        "make_programs_available": True,
        "enable_detailed_results": not any(phase.facts.hidden for phase in phases),
        "pages": [{"title": name.capitalize(), "file": f"pages/{name}.md"} for name in ("overview", "evaluation")],
        "fact_sheet": _fact_sheet(),
        "tasks": [_task(index, phase) for index, phase in enumerate(phases)],
        "phases": [_phase(index, phase) for index, phase in enumerate(phases)],
        "leaderboards": [
            {
                "title": "Results",
                "key": "main",
                "submission_rule": "Force_Best",
                "columns": [
                    {"title": column.title, "key": key, "index": index, "sorting": "desc", "precision": decimals}
                    for index, (key, column) in enumerate(columns_of_phases(phases).items())
                ],
            }
        ],
    }


def _fact_sheet() -> dict[str, Any]:
    exposure = ["trained", "few-shot", "zero-shot"]
    return {
        "training": _question("training", "How the model was exposed to the dataset", exposure),
        "extra_data": _question("extra_data", "Training data beyond it", ""),
        "paper": _question("paper", "Paper or code (URL)", ""),
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


def _task(index: int, phase: Phase) -> dict[str, Any]:
    return {
        "index": index,
        "name": phase.title,
        "description": f"{count_of(len(phase.references), 'image')} of the {phase.split} split",
        "reference_data": f"reference_{phase.split}.zip",
        "scoring_program": "scoring_program.zip",
    }


def _phase(index: int, phase: Phase) -> dict[str, Any]:
    asked = QUESTIONS[get_protocol(phase.main_protocol).questions]
    facts: dict[str, Any] = {
        "index": index,
        "name": phase.title,
        "description": f"Predictions for {count_of(len(phase.references), 'image')}: {asked}.",
        "start": phase.start.strftime("%Y-%m-%d %H:%M:%S"),
        "max_submissions_per_day": phase.a_day,
        "max_submissions": phase.in_all,
        "execution_time_limit": 600,
        "accepts_only_result_submissions": True,
        "hide_output": phase.facts.hidden,
        "hide_score_output": phase.facts.hidden,
        "tasks": [index],
    }
    if phase.end is not None:
        facts["end"] = phase.end.strftime("%Y-%m-%d %H:%M:%S")
    return facts
