"""The page that plots scores over time and by number of parameters."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from earthreason.metrics.protocols import PROTOCOLS

from ..board import percent_digits
from ..hidden import DECIMALS
from ..progress import read_progress
from ..selection import list_metrics
from ..splits import get_split, list_splits
from .plots import progress_view
from .queries import Resolved
from .rendering import LINKS, draw
from .state import Shared

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/progress")
async def get_progress(request: Request, state: Shared, query: Resolved) -> Response:
    """The filters of the table are left out: progress is that of all rows."""
    chosen = query.whole_split()

    def show() -> str:
        with state.database.read() as session:
            split = get_split(session, chosen.split)
            progress = read_progress(session, chosen.split, chosen.protocol, chosen.ranking)
            values = {
                **progress_view(progress, chosen, percent_digits(DECIMALS if split.hidden else None)),
                "splits": list_splits(session),
                "metrics": list_metrics(session, chosen),
                "protocols": PROTOCOLS.values(),
            }
        return draw("progress.html", LINKS, state.settings.title, **values)

    return await state.board.respond(request, chosen, (chosen.split,), "text/html", show)
