"""The page on which a third person settles drawings that differ."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.masks.rle import decode_rle, rle_area

from ..drawing import Drawing
from ..quality.masks import mask_iou
from ..review import app as review_app
from ..review.large import Box, PackedMask
from ..review.pictures import MASK_COLOUR, PREVIEW, outline, picture_bytes, tint_png
from ..review.web import clean_name, make_app, make_pages, parse_box
from .queue import LONGEST_COMMENT, Case, Choice, SettleQueue

HERE = Path(__file__).parent
SHORTCUTS = (
    ("1 to 9", "take this person's drawing"),
    ("m", "take the merged drawing"),
    ("c", "next category of the merged drawing"),
    ("e", "no target"),
    ("d", "draw again, with a comment"),
    ("z", "withdraw the ruling on this task"),
    ("j, k", "next, previous"),
    ("g", "first task without a ruling"),
    ("h", "show or hide the masks"),
    ("[ and ]", "mask opacity down, up"),
    ("+ - 0", "zoom in, out, whole image"),
    ("arrows", "move the image"),
    ("?", "this list"),
)
_FEW, _MANY, _ALL = (255, 200, 30), MASK_COLOUR, (255, 255, 255)
_CACHED = {"Cache-Control": "private, max-age=3600"}


def create_app(queue: SettleQueue, hosts: Sequence[str] = ("*",)) -> FastAPI:
    """Create the web application.

    Args:
        queue: cases of a workspace.
        hosts: accepted host names; they guard against other sites whose name resolves to this machine.
    """
    app = make_app("EarthReason: settle drawings", hosts)
    app.mount("/static/review", StaticFiles(directory=review_app.HERE / "static"), name="review")
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    pages = make_pages([HERE / "templates", review_app.HERE / "templates"], "/static/review")

    @app.get("/", response_class=HTMLResponse)
    def start() -> str:
        cases = queue.cases().values()
        by = Counter(case.ruling.by for case in cases if case.ruling is not None)
        return pages.get_template("start.html").render(
            root=queue.workspace.root,
            total=len(cases),
            done=_done(queue),
            people=sorted(by.items()),
            shortcuts=SHORTCUTS,
        )

    @app.get("/settle", response_class=HTMLResponse)
    def settle(by: str) -> str:
        return pages.get_template("settle.html").render(by=clean_name(by), shortcuts=SHORTCUTS, longest=LONGEST_COMMENT)

    @app.get("/api/tasks")
    def tasks() -> list[dict[str, Any]]:
        return [{"task": case.task, "done": _is_done(case)} for case in queue.cases().values()]

    @app.get("/api/task")
    def task(task: str) -> dict[str, Any]:
        return payload(queue.case(task), queue)

    @app.post("/api/ruling")
    def ruling(choice: Choice) -> dict[str, Any]:
        case = queue.rule(choice)
        return {"case": payload(case, queue), "done": _done(queue), "total": len(queue.cases())}

    @app.get("/picture")
    def picture(task: str, box: str = "") -> Response:
        case = queue.case(task)
        content, media = picture_bytes(queue.workspace.picture(case.task), parse_box(box))
        return Response(content, media_type=media, headers=_CACHED)

    @app.get("/mask")
    def mask(task: str, layer: str, edge: bool = False, box: str = "") -> Response:
        drawing = _layer(queue.case(task), layer)
        shown = _packed(str(drawing.segmentation["counts"]), drawing.height, drawing.width).part(
            PREVIEW, parse_box(box)
        )
        return Response(tint_png(outline(shown) if edge else shown), media_type="image/png")

    @app.get("/difference")
    def difference(task: str, edge: bool = False, box: str = "") -> Response:
        case, where = queue.case(task), parse_box(box)
        return Response(difference_png(_parts(case.drawings, where), edge), media_type="image/png")

    return app


def _is_done(case: Case) -> bool:
    return case.ruling is not None or bool(case.again)


def _done(queue: SettleQueue) -> int:
    return sum(map(_is_done, queue.cases().values()))


def _layer(case: Case, layer: str) -> Drawing:
    if layer == "merged":
        return case.proposal.drawing
    for drawing in case.drawings:
        if drawing.fingerprint == layer:
            return drawing
    raise EarthReasonError("this drawing is no longer one of the task's; open the task again")


@lru_cache(maxsize=16)
def _packed(counts: str, height: int, width: int) -> PackedMask:
    return PackedMask([decode_rle({"size": [height, width], "counts": counts})])


def _parts(drawings: Sequence[Drawing], box: Box | None) -> list[np.ndarray]:
    return [_packed(str(d.segmentation["counts"]), d.height, d.width).part(PREVIEW, box) for d in drawings]


def difference_png(masks: Sequence[np.ndarray], edge: bool) -> bytes:
    """Encode where (height, width) bool masks differ, or the outline of what all of them mark, as a transparent PNG.

    Of two masks, the pixels of the first alone are magenta and those of the second alone amber. Of more, the
    colour goes from amber to magenta with the number of people.
    """
    if edge:
        return tint_png(outline(np.logical_and.reduce(masks)), _ALL)
    if len(masks) == 2:
        only_first, only_second = masks[0] & ~masks[1], masks[1] & ~masks[0]
        shown, colours = only_first.astype(np.uint8) + 2 * only_second.astype(np.uint8), [_MANY, _FEW]
    else:
        counts = np.sum(masks, axis=0, dtype=np.uint8)
        shown = np.where(counts == len(masks), 0, counts).astype(np.uint8)
        shares = [step / max(1, len(masks) - 2) for step in range(max(1, len(masks) - 1))]
        colours = [_between(share) for share in shares]
    image = Image.fromarray(shown, "P")
    image.putpalette(bytes((0, 0, 0, *(value for colour in colours for value in colour))))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    return buffer.getvalue()


def _between(share: float) -> tuple[int, int, int]:
    red, green, blue = (round(few + share * (many - few)) for few, many in zip(_FEW, _MANY, strict=True))
    return red, green, blue


def payload(case: Case, queue: SettleQueue) -> dict[str, Any]:
    """Describe a case for the page."""
    task, merged = queue.workspace.tasks[case.task], case.proposal.drawing
    ruling = case.ruling
    whole = [_packed(str(d.segmentation["counts"]), d.height, d.width).part(PREVIEW) for d in case.drawings]
    proposed = _packed(str(merged.segmentation["counts"]), merged.height, merged.width).part(PREVIEW)
    return {
        "task": case.task,
        "sample": "-".join([case.task, *case.sources]),
        "asked": task.target or " / ".join(task.questions[:2]) or task.category or "Mark the target.",
        "width": task.width,
        "height": task.height,
        "preview": max(task.width, task.height) > PREVIEW,
        "is_empty": False,
        "ground_resolution": task.ground_resolution,
        "reason": case.again
        or case.proposal.reason
        or "the drawings were settled before, and someone has ruled on them",
        "sources": case.sources,
        "revision": case.revision,
        "drawings": [
            {
                "fingerprint": drawing.fingerprint,
                "annotator": drawing.annotator or "unknown",
                "category": drawing.category,
                "is_empty": drawing.is_empty,
                "pixels": rle_area(drawing.segmentation),
                "targets": None if drawing.targets is None else len(drawing.targets),
                "created": drawing.created,
                "seconds": drawing.seconds,
                "iou": None if merged.is_empty else round(mask_iou(mask, proposed), 2),
            }
            for drawing, mask in zip(case.drawings, whole, strict=True)
        ],
        "merged": {
            "category": merged.category,
            "is_empty": merged.is_empty,
            "pixels": rle_area(merged.segmentation),
            "method": case.proposal.method,
        },
        "categories": sorted({d.category for d in case.drawings if d.category and not d.is_empty}),
        "empty_said": [drawing.annotator or "unknown" for drawing in case.drawings if drawing.is_empty],
        "again": case.again,
        "ruling": None
        if ruling is None
        else {
            "choice": ruling.choice,
            "by": ruling.by,
            "at": ruling.at,
            "taken": ruling.taken,
            "category": ruling.drawing.category if ruling.drawing else None,
            "comment": ruling.comment,
        },
    }
