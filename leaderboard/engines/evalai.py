"""EvalAI challenges, with the judge inside the evaluation script."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import yaml

from earthreason.files import private_path

from ..accepted import DESCRIPTION, ENDINGS
from ..hidden import DECIMALS
from .bundles import Bundle, Phase, columns_of_phases, logo, pages_of, truth_bytes
from .evalai_script import PHASES

_ENDLESS = timedelta(days=3650)
"""EvalAI wants an end for every phase."""
_EVALUATION_SCRIPT = """import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from leaderboard.engines.evalai_script import evaluate
"""


def write_evalai(target: Path, phases: list[Phase], title: str) -> None:
    """Write an EvalAI challenge: configuration, annotation files and the evaluation script."""
    with private_path(target) as temporary, Bundle(temporary) as bundle:
        bundle.put("challenge_config.yaml", yaml.safe_dump(_challenge(phases, title), sort_keys=False))
        bundle.put("logo.png", logo())
        for name, text in pages_of(phases, title, f"Upload one file: {DESCRIPTION}.").items():
            bundle.put(f"templates/{name}.html", f"<pre>{escape(text)}</pre>")
        for phase in phases:
            bundle.put(f"annotations/{phase.split}.json", truth_bytes(phase.references))
        bundle.put("evaluation_script.zip", _evaluation_script(phases))


def _evaluation_script(phases: list[Phase]) -> bytes:
    buffer = io.BytesIO()
    with Bundle(buffer) as script:
        script.put("__init__.py", _EVALUATION_SCRIPT)
        script.put(PHASES, json.dumps({phase.split: asdict(phase.facts) for phase in phases}))
        script.put_judge()
    return buffer.getvalue()


def _challenge(phases: list[Phase], title: str) -> dict[str, Any]:
    labels = [column.title for column in columns_of_phases(phases).values()]
    numbered = list(enumerate(phases, start=1))
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
        "start_date": _text(phases[0].start),
        "end_date": _text(phases[0].start + _ENDLESS),
        "published": False,
        "leaderboard": [{"id": 1, "schema": {"labels": labels, "default_order_by": labels[0]}}],
        "challenge_phases": [_phase(number, phase) for number, phase in numbered],
        "dataset_splits": [
            {"id": number, "name": phase.title, "codename": f"{phase.split}_split"} for number, phase in numbered
        ],
        "challenge_phase_splits": [
            {
                "challenge_phase_id": number,
                "leaderboard_id": 1,
                "dataset_split_id": number,
                "visibility": 3,
                "leaderboard_decimal_precision": DECIMALS if phase.facts.hidden else 4,
            }
            for number, phase in numbered
        ],
    }


def _phase(number: int, phase: Phase) -> dict[str, Any]:
    return {
        "id": number,
        "name": phase.title,
        "description": "templates/overview.html",
        "leaderboard_public": True,
        "is_public": True,
        "is_submission_public": not phase.facts.hidden,
        "start_date": _text(phase.start),
        "end_date": _text(phase.end or phase.start + _ENDLESS),
        "test_annotation_file": f"annotations/{phase.split}.json",
        "codename": phase.split,
        "max_submissions_per_day": phase.a_day,
        "max_submissions": phase.in_all,
        "allowed_submission_file_types": ", ".join(ENDINGS),
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
