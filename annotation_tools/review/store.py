"""The store of a review: each reviewer's queue, all events, and the current verdicts. SQLite, one process.

A verdict is committed with `synchronous=FULL` before the call returns, so a verdict that the page shows as saved
survives `kill -9` and a power failure. Events are only appended; the table `verdicts` holds the current state.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from earthreason.errors import DataNotFoundError, EarthReasonError

from .database import ConflictError, ReviewDatabase
from .model import ReviewItem, ReviewJudgement
from .schema import share

LEASE = 24 * 3600.0
"""Seconds after which an image that someone left unfinished is offered to others."""
GAP = 10
"""Fewest images between the first and the second look at an image."""


class ReviewStore(ReviewDatabase):
    """An open review."""

    # Queues.

    def item(self, reviewer: str, place: int | None = None) -> ReviewItem | None:
        """Return the question at a place in a reviewer's queue, or the first one without a verdict if `place` is None.

        At its end, the queue grows by an image. Return None if nothing is left to judge.
        """
        with self._lock:
            wanted = self._first_open(reviewer) if place is None else place
            while (claim := self._claim_at(reviewer, wanted)) is None:
                if wanted != self.queued(reviewer) or not self._take_next(reviewer):
                    return None
            return self._load(reviewer, wanted, claim)

    def _load(self, reviewer: str, place: int, claim: tuple[int, int, int]) -> ReviewItem:
        first, sample, round_ = claim
        item, number, question = self._one(
            "SELECT item, number, question FROM items WHERE sample = ? ORDER BY number LIMIT 1 OFFSET ?",
            sample,
            place - first,
        )
        draft = self._one(
            "SELECT text FROM drafts WHERE reviewer = ? AND item = ? AND round = ?", reviewer, item, round_
        )
        rest = self._one(
            "SELECT COUNT(*) FROM items WHERE sample = ? AND item NOT IN "
            "(SELECT item FROM verdicts WHERE reviewer = ? AND round = ? AND verdicts.item = items.item)",
            sample,
            reviewer,
            round_,
        )[0]
        verdict, text = self._verdict(reviewer, item, round_), draft[0] if draft else ""
        return ReviewItem(place, sample, item, round_, number, question, self.facts(sample), verdict, rest, text)

    def queued(self, reviewer: str) -> int:
        """Return the length of a reviewer's queue."""
        row = self._one(
            "SELECT first_place + questions FROM claims JOIN samples USING (sample) WHERE reviewer = ? "
            "ORDER BY first_place DESC LIMIT 1",
            reviewer,
        )
        return int(row[0]) if row else 0

    def _claim_at(self, reviewer: str, place: int) -> tuple[int, int, int] | None:
        row = self._one(
            "SELECT first_place, sample, round, questions FROM claims JOIN samples USING (sample) "
            "WHERE reviewer = ? AND first_place <= ? ORDER BY first_place DESC LIMIT 1",
            reviewer,
            place,
        )
        return (row[0], row[1], row[2]) if row and place < row[0] + row[3] else None

    def _asked_at(self, reviewer: str, place: int) -> tuple[int, int, int]:
        claim = self._claim_at(reviewer, place)
        if claim is None:
            raise EarthReasonError(f"the queue of {reviewer!r} has no place {place}")
        return claim

    def _first_open(self, reviewer: str) -> int:
        row = self._one(
            "SELECT claims.first_place + items.number FROM claims JOIN items USING (sample) LEFT JOIN verdicts "
            "ON verdicts.reviewer = claims.reviewer AND verdicts.item = items.item AND verdicts.round = claims.round "
            "WHERE claims.reviewer = ? AND verdicts.item IS NULL ORDER BY claims.first_place, items.number LIMIT 1",
            reviewer,
        )
        return int(row[0]) if row else self.queued(reviewer)

    def _take_next(self, reviewer: str) -> bool:
        """Add an image to a reviewer's queue; return False if none is left."""
        place = self.queued(reviewer)
        with self.transaction() as db:
            chosen = self._next_image(reviewer)
            if chosen is None and self._release_abandoned(reviewer):
                chosen = self._next_image(reviewer)
            chosen = chosen or self._repeat_due(reviewer, at_end=True)
            if chosen is None:
                return False
            sample, round_ = chosen
            if round_ == 1:
                db.execute("UPDATE samples SET open = open - 1 WHERE sample = ?", (sample,))
            db.execute(
                "INSERT INTO claims (reviewer, first_place, sample, round, claimed) VALUES (?, ?, ?, ?, ?)",
                (reviewer, place, sample, round_, time.time()),
            )
        return True

    def _next_image(self, reviewer: str) -> tuple[int, int] | None:
        """Choose a reviewer's next image and its round: a second look if one is due, else a new image."""
        if (due := self._repeat_due(reviewer)) is not None:
            return due
        row = self._one(
            "SELECT sample FROM samples WHERE open > 0 AND NOT EXISTS (SELECT 1 FROM claims WHERE reviewer = ? "
            "AND claims.sample = samples.sample AND round = 1) ORDER BY sample LIMIT 1",
            reviewer,
        )
        return (int(row[0]), 1) if row else None

    def ahead(self, reviewer: str, place: int) -> dict[str, Any] | None:
        """Return the facts of the image at a place, or of the one likely to be there, without adding it to the queue.

        Return None if that image is unknown.
        """
        claim = self._claim_at(reviewer, place)
        if claim is not None:
            return self.facts(claim[1])
        chosen = self._next_image(reviewer) if place == self.queued(reviewer) else None
        return None if chosen is None else self.facts(chosen[0])

    def _release_abandoned(self, reviewer: str) -> int:
        """Offer others the images assigned over `LEASE` seconds ago and left unfinished; verdicts are kept."""
        stale = self.rows(
            "SELECT DISTINCT claims.reviewer, sample FROM claims JOIN items USING (sample) LEFT JOIN verdicts "
            "ON verdicts.reviewer = claims.reviewer AND verdicts.item = items.item AND verdicts.round = 1 "
            "WHERE claims.round = 1 AND released = 0 AND claimed < ? AND claims.reviewer != ? "
            "AND verdicts.item IS NULL",
            time.time() - LEASE,
            reviewer,
        )
        for other, sample in stale:
            self._db.execute(
                "UPDATE claims SET released = 1 WHERE reviewer = ? AND sample = ? AND round = 1", (other, sample)
            )
            self._db.execute("UPDATE samples SET open = open + 1 WHERE sample = ?", (sample,))
        return len(stale)

    def _repeat_due(self, reviewer: str, at_end: bool = False) -> tuple[int, int] | None:
        """Draw an image for a second look if one is due, at least `GAP` images after the first unless `at_end`."""
        taken, repeated = self._one(
            "SELECT COUNT(*) FILTER (WHERE round = 1), COUNT(*) FILTER (WHERE round = 2) FROM claims "
            "WHERE reviewer = ?",
            reviewer,
        )
        due = int(self.plan.second_pass * taken if at_end else self.plan.second_pass * max(0, taken - GAP))
        if repeated >= due:
            return None
        places = self.rows(
            "SELECT sample, sample_id FROM claims JOIN samples USING (sample) WHERE reviewer = ? AND round = 1 "
            "AND sample NOT IN (SELECT sample FROM claims WHERE reviewer = ? AND round = 2) ORDER BY first_place",
            reviewer,
            reviewer,
        )
        candidates = places if at_end else places[: -GAP or None]
        drawn = min(candidates, key=lambda row: share(self.plan.seed, "second pass", row[1]), default=None)
        return None if drawn is None else (int(drawn[0]), 2)

    def facts(self, sample: int) -> dict[str, Any]:
        """Return the facts of an image by its number.

        Raises:
            DataNotFoundError: there is no image with this number.
        """
        with self._lock:
            cursor = self._db.execute("SELECT * FROM samples WHERE sample = ?", (sample,))
            row = cursor.fetchone()
        if row is None:
            raise DataNotFoundError(f"the review has no image {sample}")
        columns = dict(zip((column[0] for column in cursor.description), row, strict=True))
        return columns | {"answers": json.loads(columns["answers"]), "is_empty": bool(columns["is_empty"])}

    # Verdicts.

    def _verdict(self, reviewer: str, item: int, round_: int) -> dict[str, Any] | None:
        row = self._one(
            "SELECT event, at, content FROM verdicts JOIN events USING (event) WHERE verdicts.reviewer = ? "
            "AND verdicts.item = ? AND verdicts.round = ?",
            reviewer,
            item,
            round_,
        )
        return None if row is None else {"revision": row[0], "saved": row[1], **json.loads(row[2])}

    def judge(self, judgement: ReviewJudgement) -> ReviewItem:
        """Save a verdict; it is on disk when this returns. Repeating a key changes nothing.

        Raises:
            OtherReviewError: the page shows another review.
            EarthReasonError: the reviewer's queue has no such place.
            ConflictError: another question is at this place, or it has a newer verdict than the page shows; nothing is
                saved.
        """
        self.require(judgement.review)
        reviewer = judgement.reviewer
        with self.transaction() as db:
            claim = self._asked_at(reviewer, judgement.place)
            item = self._load(reviewer, judgement.place, claim)
            if self._one("SELECT 1 FROM events WHERE key = ?", judgement.key):
                return item
            if item.item != judgement.item:
                raise ConflictError(
                    "another question is now at this place, so this verdict was not saved; judge the question again"
                )
            current = item.verdict["revision"] if item.verdict else 0
            if current != judgement.revision:
                said = (
                    f"{item.verdict['verdict']} at {item.verdict['saved']}"
                    if item.verdict
                    else "nothing: it was undone"
                )
                raise ConflictError(
                    f"you have judged this question in another window ({said}), so this verdict was not saved; check "
                    "the question again"
                )
            content = judgement.model_dump(include={"verdict", "reasons", "text", "note", "seconds"})
            content["saw_answers"] = item.rest == 0 or self._saw_answers(item, reviewer)
            event = db.execute(
                "INSERT INTO events (at, reviewer, place, item, round, kind, content, key) "
                "VALUES (?, ?, ?, ?, ?, 'verdict', ?, ?)",
                (now(), reviewer, item.place, item.item, item.round, json.dumps(content), judgement.key),
            ).lastrowid
            db.execute(
                "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?)",
                (reviewer, item.item, item.round, event, judgement.verdict),
            )
            db.execute(
                "DELETE FROM drafts WHERE reviewer = ? AND item = ? AND round = ?", (reviewer, item.item, item.round)
            )
            after = self._load(reviewer, judgement.place, claim)
            if after.rest == 0:
                self._tell_answers(after, reviewer)
            return after

    def answers(self, reviewer: str, place: int) -> list[str]:
        """Return the answers about the image at a place; later verdicts on it record that they were seen.

        Raises:
            EarthReasonError: the reviewer's queue has no such place.
        """
        with self.transaction():
            item = self._load(reviewer, place, self._asked_at(reviewer, place))
            self._tell_answers(item, reviewer)
        return list(item.facts["answers"])

    def _tell_answers(self, item: ReviewItem, reviewer: str) -> None:
        if not self._saw_answers(item, reviewer):
            self._db.execute(
                "INSERT INTO events (at, reviewer, place, item, round, kind, content) "
                "VALUES (?, ?, ?, ?, ?, 'answers', '{}')",
                (now(), reviewer, item.place, item.item, item.round),
            )

    def _saw_answers(self, item: ReviewItem, reviewer: str) -> bool:
        """Tell whether a reviewer has seen the answers about an image in this round, at any of its questions."""
        row = self._one(
            "SELECT 1 FROM events INDEXED BY events_of_item WHERE reviewer = ? AND round = ? AND kind = 'answers' "
            "AND item IN (SELECT item FROM items WHERE sample = ?) LIMIT 1",
            reviewer,
            item.round,
            item.sample,
        )
        return row is not None

    def undo(self, reviewer: str, event: int) -> int:
        """Undo a reviewer's last verdict and restore the one before it; return its place.

        Args:
            reviewer: name of the reviewer.
            event: event of the last verdict, as the page knows it.

        Raises:
            ConflictError: this is not the last verdict; nothing is undone.
        """
        with self.transaction() as db:
            row = self._last(reviewer)
            if row is None or row[0] != event:
                raise ConflictError(
                    "your last verdict has changed in another window, so nothing was undone; check the question again"
                )
            _, place, item, round_ = row
            db.execute(
                "INSERT INTO events (at, reviewer, place, item, round, kind, content, target) "
                "VALUES (?, ?, ?, ?, ?, 'undo', '{}', ?)",
                (now(), reviewer, place, item, round_, event),
            )
            before = self._one(
                "SELECT event, content FROM events WHERE reviewer = ? AND item = ? AND round = ? AND kind = 'verdict' "
                "AND event NOT IN (SELECT target FROM events WHERE target IS NOT NULL) ORDER BY event DESC LIMIT 1",
                reviewer,
                item,
                round_,
            )
            db.execute("DELETE FROM verdicts WHERE reviewer = ? AND item = ? AND round = ?", (reviewer, item, round_))
            if before is not None:
                verdict = json.loads(before[1])["verdict"]
                db.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)", (reviewer, item, round_, before[0], verdict))
            return int(place)

    def _last(self, reviewer: str) -> Any:
        """Return event, place, item and round of the last verdict that was not undone, or None."""
        return self._one(
            "SELECT event, place, item, round FROM events WHERE reviewer = ? AND kind = 'verdict' AND NOT EXISTS "
            "(SELECT 1 FROM events AS later WHERE later.target = events.event) ORDER BY event DESC LIMIT 1",
            reviewer,
        )

    def draft(self, reviewer: str, place: int, text: str) -> None:
        """Save the text of an unfinished edit.

        Raises:
            EarthReasonError: the reviewer's queue has no such place.
        """
        with self.transaction() as db:
            item = self._load(reviewer, place, self._asked_at(reviewer, place))
            db.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?)", (reviewer, item.item, item.round, text))

    # Progress and export.

    def progress(self, reviewer: str | None = None) -> dict[str, Any]:
        """Count the questions, and those judged by at least one person.

        For a reviewer, add the number of their verdicts (`mine`), the length of their queue (`queued`) and the event
        that `undo` would undo (`last`, may be None).
        """
        judged = self._one("SELECT COUNT(DISTINCT item) FROM verdicts WHERE round = 1")[0]
        counts: dict[str, Any] = {"questions": self.questions, "judged": judged}
        if reviewer is not None:
            row = self._one("SELECT COUNT(*) FROM verdicts WHERE reviewer = ? AND round > 0", reviewer)
            last = self._last(reviewer)
            counts |= {"mine": row[0], "queued": self.queued(reviewer), "last": last and last[0]}
        return counts

    def reviewers(self) -> list[dict[str, Any]]:
        """List the reviewers with their number of verdicts and mean seconds per verdict."""
        rows = self.rows(
            "SELECT verdicts.reviewer, COUNT(*), AVG(json_extract(content, '$.seconds')) "
            "FROM verdicts JOIN events USING (event) GROUP BY verdicts.reviewer ORDER BY 1"
        )
        return [dict(zip(("reviewer", "judged", "seconds"), row, strict=True)) for row in rows]

    def verdicts(self) -> Iterator[dict[str, Any]]:
        """Yield every current verdict with its question, ordered by sample, question, reviewer and round."""
        rows = self.rows(
            "SELECT sample_id, split, number, question, verdicts.reviewer, verdicts.round, at, content, is_empty, "
            "category FROM verdicts JOIN events USING (event) JOIN items ON items.item = verdicts.item "
            "JOIN samples USING (sample) ORDER BY sample, number, verdicts.reviewer, verdicts.round"
        )
        names = ("sample_id", "split", "number", "question", "reviewer", "round", "saved")
        for row in rows:
            facts = {"is_empty": bool(row[8]), "category": row[9]}
            yield dict(zip(names, row[:7], strict=True)) | json.loads(row[7]) | facts


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
