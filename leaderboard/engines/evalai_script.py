"""The `evaluate` function that EvalAI calls. It travels inside the challenge, beside `earthreason`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .scoring import PhaseFacts, columns_for, columns_of, quiet_errors, score_file

PHASES = "phases.json"
"""File beside the script, with the facts of every phase by codename."""


def evaluate(test_annotation_file: str, user_submission_file: str, phase_codename: str, **_: Any) -> dict[str, Any]:
    """Score a submission.

    Args:
        test_annotation_file: path of the ground-truth file.
        user_submission_file: path of the predictions file.
        phase_codename: split, `val` or `test`.

    Raises:
        EarthReasonError: the submission has faults; EvalAI shows the message to the participant.
    """
    phases = json.loads((Path(__file__).parents[2] / PHASES).read_text())
    phase = PhaseFacts(**phases[phase_codename])
    with quiet_errors(phase):
        record = score_file(Path(test_annotation_file), Path(user_submission_file), phase)
    columns = columns_for(phase.main_protocol)
    scores = {columns[key].title: value for key, value in columns_of(record).items()}
    return {"result": [{f"{phase_codename}_split": scores}], "submission_result": scores}
