"""Fill a board with plausible public rows, for benchmarks.

Some files are scored; every row is the result of one of them with its figures shifted. A sample of the rows passes the
checks for results.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from earthreason.masks.rle import encode_mask
from earthreason.metrics.references import Reference, References
from earthreason.predictions.reader import open_predictions
from leaderboard.database import Database
from leaderboard.records import parse_metadata, parse_result
from leaderboard.scoring import score_predictions
from leaderboard.splits import SplitContent, put_split
from leaderboard.tables import ScoredResult, Submission, Team
from leaderboard.tokens import create_token
from leaderboard.versions import count_change

SIDE, IMAGES, CATEGORIES, TEAMS, VARIANTS = 64, 1928, 28, 200, 6
OWN = 20
"""Rows of the team whose token is used."""
SPLIT = "load/test"


def make_references(seed: int = 0) -> References:
    """Make a truth with the groups of the official test split: rectangles in small images, some of them empty."""
    rng = np.random.default_rng(seed)
    references = []
    for n in range(IMAGES):
        mask = np.zeros((SIDE, SIDE), bool)
        if n % 27:
            top, left, height, width = rng.integers(1, 31, 4)
            mask[top : top + height, left : left + width] = True
        references.append(
            Reference(
                f"image_{n:04d}", encode_mask(mask), category=f"class {n % CATEGORIES:02d}", ground_resolution=n % 9
            )
        )
    return References(references, SPLIT)


def score_variants(references: References, folder: Path) -> list[tuple[dict[str, Any], bytes]]:
    """Score some files; return their records as JSON values and their stored counts."""
    scored = []
    for seed in range(VARIANTS):
        rng = np.random.default_rng(seed)
        predictions = []
        for n in range(IMAGES):
            mask = np.zeros((SIDE, SIDE), bool)
            top, left, height, width = rng.integers(1, 31, 4)
            mask[top : top + height, left : left + width] = True
            predictions.append({"sample_id": f"image_{n:04d}", "segmentation": encode_mask(mask)})
        file = folder / f"{seed}.json"
        file.write_text(json.dumps(predictions))
        config, split = SPLIT.split("/")
        scoring = score_predictions(
            open_predictions(file), references, config=config, split=split, hidden=False, resamples=200
        )
        scored.append((scoring.record.model_dump(mode="json"), scoring.details()))
    return scored


def shifted(record: dict[str, Any], by: float, sha256: str) -> dict[str, Any]:
    """Move every score towards 1 by a share, so that its interval still holds it."""

    def move(value: float | None) -> float | None:
        return None if value is None else value + (1 - value) * by

    protocols = {
        name: {
            **protocol,
            "scores": {
                key: {metric: [move(end) for end in cell] for metric, cell in cells.items()}
                for key, cells in protocol["scores"].items()
            },
        }
        for name, protocol in record["protocols"].items()
    }
    return {**record, "protocols": protocols, "predictions_sha256": sha256}


def fill(database: Database, rows: int, folder: Path) -> str:
    """Fill the database with public rows; return a team's token, whose team owns a part of them."""
    rng = random.Random(0)
    references = make_references()
    variants = score_variants(references, folder)
    with database.write() as session:
        split, _ = put_split(session, *SPLIT.split("/"), SplitContent(references, None), hidden=False)
        split_id = split.id
        token = create_token(session, "Team 0")[1]
        session.execute(insert(Team), [{"name": f"Team {n}", "created": 1.0} for n in range(1, TEAMS)])
    now = time.time()
    for start in range(0, rows, 500):
        submissions, results = [], []
        for n in range(start, min(start + 500, rows)):
            record, counts = variants[n % VARIANTS]
            record = shifted(record, rng.random(), secrets.token_hex(32))
            if n < 20:
                parse_result(record)
            facts = {
                "model": f"Model {n} {rng.choice(('base', 'large', 'tiny', 'R1'))}",
                "training": rng.choice(("trained", "few-shot", "zero-shot")),
                "parameters_millions": round(rng.uniform(10, 70_000), 1),
                "paper": f"https://example.org/paper/{n}",
                "description": "A plausible description of a model. " * 3,
            }
            day = now - 86_400 * rng.uniform(0, 700)
            submissions.append(
                {
                    "id": secrets.token_urlsafe(16),
                    "team_id": 1 if n < OWN else 2 + n % (TEAMS - 1),
                    "split_id": split_id,
                    "sha256": record["predictions_sha256"],
                    "size": 1,
                    "details": parse_metadata(facts).model_dump(mode="json"),
                    "visibility": "public",
                    "created": day,
                    "uploaded": day,
                    "queued_at": day,
                    "published": day,
                    "state": "scored",
                }
            )
            results.append(
                {
                    "submission_id": submissions[-1]["id"],
                    "generation": 1,
                    "created": day,
                    "seconds": 1.0,
                    "record": record,
                    "counts": counts,
                    "gallery": [],
                }
            )
        with database.write() as session:
            session.execute(insert(Submission), submissions)
            session.execute(insert(ScoredResult), results)
    with database.write() as session:
        count_change(session)
    return token
