"""The review page: a few routes to the store. It has no build step and no inline scripts, and works offline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from .leading import decide, judged_questions, withdraw
from .model import LONGEST_TEXT, REASONS, ReviewItem, ReviewJudgement
from .pictures import PREVIEW, overlay_png, picture_bytes
from .roles import Roles
from .store import ReviewStore
from .web import make_app, make_pages, parse_box

HERE = Path(__file__).parent
_ANYBODY = Roles()
SHORTCUTS = (
    ("1 or a", "accept"),
    ("2 or e", "edit the question"),
    ("3 or r", "reject, with reasons"),
    ("4 or u", "unsure, with reasons"),
    ("j, k", "next, previous"),
    ("g", "first question without a verdict"),
    ("s", "show the answers"),
    ("z", "undo the last verdict"),
    ("m", "show or hide the mask"),
    ("[ and ]", "mask opacity down, up"),
    ("+ - 0", "zoom in, out, whole image"),
    ("arrows", "move the image"),
    ("n", "note"),
    ("?", "this list"),
)


class Who(BaseModel):
    """A reviewer on a page of a review."""

    review: str = Field(min_length=1, max_length=64)
    reviewer: str = Field(min_length=1, max_length=60)


class Undo(Who):
    """A verdict to undo, by its event."""

    event: int = Field(ge=1)


class Draft(Who):
    """The text of an unfinished edit."""

    place: int = Field(ge=0)
    text: str = Field(max_length=LONGEST_TEXT)


class Decided(Who):
    """A lead's decision on a question."""

    item: int = Field(ge=1)
    verdict: str
    text: str = Field(default="", max_length=LONGEST_TEXT)


def create_app(store: ReviewStore, hosts: Sequence[str] = ("*",), roles: Roles = _ANYBODY) -> FastAPI:
    """Create the web application of a review.

    Args:
        store: store of the review.
        hosts: accepted host names; they guard against other sites whose name resolves to this machine.
        roles: people who may judge, and who lead.
    """
    app = make_app("EarthReason question review", hosts)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    pages = make_pages([HERE / "templates"], "/static")
    folder = store.path.parent

    @app.get("/", response_class=HTMLResponse)
    def start() -> str:
        return pages.get_template("start.html").render(
            progress=store.progress(),
            images=store.images,
            reviewers=store.reviewers(),
            plan=store.plan,
            source=store.setting("source"),
            shortcuts=SHORTCUTS,
            roles=roles,
        )

    @app.get("/review", response_class=HTMLResponse)
    def review(reviewer: str) -> str:
        name = roles.reviewer(reviewer)
        return pages.get_template("review.html").render(
            review=store.review, reviewer=name, reasons=list(REASONS.items()), shortcuts=SHORTCUTS, longest=LONGEST_TEXT
        )

    @app.get("/api/place")
    def place(review: str, reviewer: str, place: int | None = None) -> dict[str, Any]:
        store.require(review)
        name = roles.reviewer(reviewer)
        item = store.item(name, place)
        return {"item": None if item is None else payload(item), "progress": store.progress(name)}

    @app.get("/api/ahead")
    def ahead(review: str, reviewer: str, place: int) -> dict[str, Any]:
        store.require(review)
        facts = store.ahead(roles.reviewer(reviewer), place)
        return {} if facts is None else {name: facts[name] for name in ("sample", "is_empty")}

    @app.get("/api/answers")
    def answers(review: str, reviewer: str, place: int) -> dict[str, list[str]]:
        store.require(review)
        return {"answers": store.answers(roles.reviewer(reviewer), place)}

    @app.post("/api/verdict")
    def verdict(judgement: ReviewJudgement) -> dict[str, Any]:
        roles.reviewer(judgement.reviewer)
        item = store.judge(judgement)
        return {"item": payload(item), "progress": store.progress(judgement.reviewer)}

    @app.post("/api/undo")
    def undo(wanted: Undo) -> dict[str, Any]:
        store.require(wanted.review)
        roles.reviewer(wanted.reviewer)
        place = store.undo(wanted.reviewer, wanted.event)
        return {"place": place, "progress": store.progress(wanted.reviewer)}

    @app.post("/api/draft")
    def draft(text: Draft) -> dict[str, bool]:
        store.require(text.review)
        roles.reviewer(text.reviewer)
        store.draft(text.reviewer, text.place, text.text)
        return {"saved": True}

    @app.get("/lead", response_class=HTMLResponse)
    def lead(lead: str) -> str:
        name = roles.lead(lead)
        questions = judged_questions(store)
        return pages.get_template("lead.html").render(review=store.review, lead=name, questions=questions)

    @app.post("/api/withdraw")
    def take_back(wanted: Undo) -> dict[str, bool]:
        store.require(wanted.review)
        withdraw(store, roles.lead(wanted.reviewer), wanted.event, "")
        return {"saved": True}

    @app.post("/api/decide")
    def settle(wanted: Decided) -> dict[str, bool]:
        store.require(wanted.review)
        decide(store, roles.lead(wanted.reviewer), wanted.item, wanted.verdict, wanted.text)
        return {"saved": True}

    @app.get("/picture/{sample}")
    def picture(sample: int, review: str, box: str = "") -> Response:
        store.require(review)
        content, media = picture_bytes(folder / store.facts(sample)["picture"], parse_box(box))
        return Response(content, media_type=media, headers={"Cache-Control": "private, max-age=3600"})

    @app.get("/mask/{sample}")
    def mask(sample: int, review: str, edge: bool = False, box: str = "") -> Response:
        store.require(review)
        content = overlay_png(folder / store.facts(sample)["mask"], edge, parse_box(box))
        return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    return app


def payload(item: ReviewItem) -> dict[str, Any]:
    """Describe an item for the page.

    What reveals the target (category, sample ID, answers) is included once all questions about the image are judged.
    """
    facts = item.facts
    shown = {
        "item": item.item,
        "place": item.place,
        "sample": item.sample,
        "number": item.number,
        "questions": facts["questions"],
        "question": item.question,
        "answers": len(facts["answers"]),
        "height": facts["height"],
        "width": facts["width"],
        "is_empty": facts["is_empty"],
        "ground_resolution": facts["ground_resolution"],
        "draft": item.draft,
        "preview": max(facts["height"], facts["width"]) > PREVIEW,
        "verdict": item.verdict,
        "rest": item.rest,
        "after": None,
    }
    if item.rest == 0:
        shown["after"] = {name: facts[name] for name in ("category", "sample_id", "split", "answers")}
    return shown
