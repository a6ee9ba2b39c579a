"""The page of how often each of the best models of a split beats each other one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.metrics.protocols import get_protocol

from ..board import BoardQuery, RowFacts
from ..scoring import detailed_protocols, read_details
from ..selection import read_table
from ..splits import get_split, list_splits
from ..tables import ScoredResult, Submission
from ..wins import MOST_MODELS, count_wins
from .queries import Resolved
from .rendering import LINKS, draw
from .state import Shared

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/wins")
async def get_wins(request: Request, state: Shared, query: Resolved) -> Response:
    """The filters of the table hold here too, so that the best of any kind can be compared."""

    def show() -> str:
        with state.database.read() as session:
            split = get_split(session, query.split)
            best = read_table(session, state.board.selection(session, query.ranked()), 0, MOST_MODELS)
            values = {
                "query": query,
                "protocol": get_protocol(query.protocol),
                "protocols": [get_protocol(name) for name in detailed_protocols(query.main_protocol)],
                "splits": list_splits(session),
                "hidden": split.hidden,
                "most": MOST_MODELS,
                **({"models": []} if split.hidden else _compare(session, query, [row.facts for row in best.rows])),
            }
        return draw("wins.html", LINKS, state.settings.title, **values)

    return await state.board.respond(request, query.ranked(), (query.split,), "text/html", show)


def _compare(session: Session, query: BoardQuery, rows: list[RowFacts]) -> dict[str, Any]:
    """Compare the rows by the counts that the board keeps of the detailed protocols."""
    found = (
        select(Submission.id, ScoredResult.counts)
        .join(ScoredResult, ScoredResult.submission_id == Submission.id)
        .where(Submission.id.in_([row.id for row in rows]), ScoredResult.generation == Submission.generation)
    )
    details = {key: read_details(counts, query.protocol) for key, counts in session.execute(found)}
    kept = [(row, scored) for row in rows if (scored := details.get(row.id)) is not None]
    if not kept:
        return {"models": []}
    matrix = count_wins([scored for _, scored in kept])
    return {"models": [kept[one][0] for one in matrix.chosen], "questions": matrix.questions, "wins": matrix.wins}
