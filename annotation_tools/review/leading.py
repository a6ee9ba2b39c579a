"""What the lead of a review may do: see all verdicts, withdraw one, and settle a question for good."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from earthreason.errors import DataNotFoundError, EarthReasonError

from .database import ConflictError
from .model import LONGEST_TEXT
from .store import ReviewStore, now

DECIDED = 0
"""Round of a lead's decision, which overrules the verdicts of rounds 1 and 2."""


def withdraw(store: ReviewStore, lead: str, event: int, why: str) -> None:
    """Withdraw a person's verdict; the question comes back to them. It is on disk when this returns.

    Raises:
        ConflictError: the verdict has changed or was withdrawn meanwhile.
    """
    with store.transaction() as db:
        row = db.execute("SELECT reviewer, item, round FROM verdicts WHERE event = ?", (event,)).fetchone()
        if row is None:
            raise ConflictError("this verdict has changed meanwhile, so nothing was withdrawn; look at the list again")
        reviewer, item, round_ = row
        (place,) = db.execute("SELECT place FROM events WHERE event = ?", (event,)).fetchone()
        db.execute(
            "INSERT INTO events (at, reviewer, place, item, round, kind, content, target) "
            "VALUES (?, ?, ?, ?, ?, 'withdrawal', ?, ?)",
            (now(), reviewer, place, item, round_, json.dumps({"by": lead, "why": why}), event),
        )
        db.execute("DELETE FROM verdicts WHERE event = ?", (event,))


def decide(store: ReviewStore, lead: str, item: int, verdict: str, text: str = "") -> None:
    """Settle a question for good, whatever reviewers say; it is on disk when this returns.

    Raises:
        DataNotFoundError: the review has no such question.
        EarthReasonError: the verdict is not accept, edit or reject, or an edit has no text.
    """
    if verdict not in ("accept", "edit", "reject"):
        raise EarthReasonError(f"verdict {verdict!r}; a lead settles a question with accept, edit or reject")
    if verdict == "edit" and not 0 < len(text.strip()) <= LONGEST_TEXT:
        raise EarthReasonError(f"an edit needs the new text, at most {LONGEST_TEXT} characters")
    content = {"verdict": verdict, "reasons": [], "text": text if verdict == "edit" else "", "note": "", "seconds": 0}
    with store.transaction() as db:
        if db.execute("SELECT 1 FROM items WHERE item = ?", (item,)).fetchone() is None:
            raise DataNotFoundError(f"the review has no question {item}")
        event = db.execute(
            "INSERT INTO events (at, reviewer, place, item, round, kind, content) "
            "VALUES (?, ?, 0, ?, ?, 'decision', ?)",
            (now(), lead, item, DECIDED, json.dumps(content | {"saw_answers": True})),
        ).lastrowid
        db.execute("DELETE FROM verdicts WHERE item = ? AND round = ?", (item, DECIDED))
        db.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)", (lead, item, DECIDED, event, verdict))


def judged_questions(store: ReviewStore) -> list[dict[str, Any]]:
    """List the judged questions with all verdicts, disputed ones without a decision first."""
    rows = store.rows(
        "SELECT verdicts.item, sample_id, number, question, verdicts.reviewer, verdicts.round, verdicts.event, content "
        "FROM verdicts JOIN events USING (event) JOIN items ON items.item = verdicts.item JOIN samples USING (sample) "
        "ORDER BY verdicts.item, verdicts.round, verdicts.reviewer"
    )
    verdicts: dict[int, list[dict[str, Any]]] = defaultdict(list)
    facts: dict[int, dict[str, Any]] = {}
    for item, sample_id, number, question, reviewer, round_, event, content in rows:
        facts[item] = {"item": item, "sample_id": sample_id, "number": number + 1, "question": question}
        verdicts[item].append({"reviewer": reviewer, "round": round_, "event": event, **json.loads(content)})
    questions = []
    for item, several in verdicts.items():
        said = {
            entry["verdict"] == "reject" for entry in several if entry["round"] == 1 and entry["verdict"] != "unsure"
        }
        decided = any(entry["round"] == DECIDED for entry in several)
        questions.append(facts[item] | {"verdicts": several, "disputed": len(said) > 1, "decided": decided})
    return sorted(questions, key=lambda entry: (not entry["disputed"] or entry["decided"], entry["item"]))
