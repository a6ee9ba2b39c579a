"""The HTTP API of `earthreason-baselines serve` as a small program without a model, for the walks through its page.

The picture is 96 x 64: two blocks on grey. A question decides what comes back by its words; see `answer_to`.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from PIL import Image

SERVE = Path(__file__).parents[4] / "baselines" / "serve"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "worker-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEIGHT, WIDTH = 64, 96
LEFT, RIGHT = (slice(8, 40), slice(8, 40)), (slice(8, 40), slice(56, 88))
BOUNDS = [7.0, 46.0, 7.012, 46.0055]
SAMPLE = {
    "name": "blocks",
    "title": "Two blocks",
    "picture": "/api/samples/blocks.jpg",
    "width": WIDTH,
    "height": HEIGHT,
    "questions": ["Where is the left block?", "Is there nothing like a ship?"],
}
SCENES = [
    {"name": "town.tif", "width": 9600, "height": 6400, "gsd": 0.1, "bounds": BOUNDS},
    {"name": "plain scan.png", "width": WIDTH, "height": HEIGHT, "gsd": None, "bounds": None},
]
LIMITS = {"upload_mb": 1, "megapixels": 50, "questions": 4, "question_length": 200, "queue": 8}
FAULTS = {
    "large": (413, "The image has 60 megapixels; at most 50 are taken.", {}),
    "busy": (429, "8 requests wait already.", {"Retry-After": "7"}),
    "broken": (503, "The model is still loading.", {}),
    "outside": (422, "area: it lies outside town.tif", {}),
    "too wide": (422, "area: town.tif has 9600 x 6400 px; choose a smaller area", {}),
}


def block_picture() -> np.ndarray:
    """The picture of the sample: a red block and a blue one on grey."""
    picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    picture[LEFT] = (160, 40, 40)
    picture[RIGHT] = (40, 40, 160)
    return picture


def png(array: np.ndarray) -> Response:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return Response(stream.getvalue(), media_type="image/png")


def probability_of(question: str) -> np.ndarray:
    """0.9 in the left block; 0.4 in the right one, which a lower threshold brings in."""
    values = np.full((HEIGHT, WIDTH), 13, np.uint8)
    if "nothing" not in question:
        values[LEFT] = 230
        values[RIGHT] = 102
    if "right" in question:
        values[LEFT], values[RIGHT] = 13, 230
    return values.repeat(40, 0).repeat(40, 1) if "huge" in question else values


def answer_to(number: int, question: str, area: bool) -> dict:
    links = {
        kind: f"/results/r1/{number}/{name}" + ("" if kind == "probability" else "?threshold=0.5")
        for kind, name in {
            "mask": "mask.png",
            "probability": "probability.png",
            "geojson": "answer.geojson",
            "geotiff": "answer.tif",
            "overlay": "overlay.png",
        }.items()
    }
    if area:
        links["map"] = f"/results/r1/{number}/map.png"
    found = "nothing" not in question
    return {
        "question": question,
        "has_target": found,
        "no_target_score": 0.08 if found else 0.93,
        "share": 1024 / (HEIGHT * WIDTH) if found else 0.0,
        "area_m2": (15432.0 if found else 0.0) if area else None,
        "regions": 1 if found else 0,
        "text": "The block at the left." if "words" in question else None,
        "links": links,
    }


def fake_app(asked: list[dict]) -> FastAPI:
    """The application; every request of POST /segment is added to `asked`."""
    app = FastAPI()
    questions: list[str] = []

    @app.middleware("http")
    async def policy(request: Request, go):
        response = await go(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(SERVE / "templates" / "index.html")

    @app.get("/api/info")
    def info() -> dict:
        return {
            "model": "segearth_r1",
            "checkpoint": "tiny",
            "device": "cpu",
            "tile_side": 256,
            "no_target_threshold": 0.5,
            "threshold": 0.5,
            "ground_resolution": [0.3, 2.0],
            "tasks": ["reasoning", "referring"],
            "words": True,
            "limits": LIMITS,
            "samples": [SAMPLE],
            "scenes": SCENES,
        }

    @app.get("/health")
    def health() -> dict:
        return {"status": "ok", "queue": 3, "model": "segearth_r1"}

    @app.get("/api/samples/blocks.jpg")
    def sample() -> Response:
        return png(block_picture())

    @app.get("/api/scenes/{name}/overview.png")
    def overview(name: str) -> Response:
        return png(block_picture())

    @app.get("/api/scenes/{name}/{z}/{x}/{y}.png")
    def tile(name: str, z: int, x: int, y: int) -> Response:
        return png(np.full((256, 256, 3), (90, 110, 90), np.uint8))

    @app.post("/segment")
    async def segment(request: Request) -> Response:
        form = await request.form()
        questions[:] = form.getlist("questions")
        image = form.get("image")
        asked.append({**form, "questions": list(questions), "image": image and (image.filename, await image.read())})
        for word, (status, line, headers) in FAULTS.items():
            if any(word in question for question in questions):
                return JSONResponse({"error": line}, status, headers)
        if any("slow" in question for question in questions):
            await asyncio.sleep(5)
        bounds = None
        if form.get("scene") == "town.tif":
            bounds = [float(side) for side in form["area"].split(",")] if "area" in form else BOUNDS
        answers = [answer_to(number, text, bounds is not None) for number, text in enumerate(questions)]
        return JSONResponse(
            {
                "id": "r1",
                "width": WIDTH,
                "height": HEIGHT,
                "bounds": bounds,
                "gsd": 0.1 if bounds else None,
                "seconds": 0.31,
                "waited": 0.2,
                "answers": answers,
            }
        )

    @app.get("/results/r1/{number}/{name}")
    def result(number: int, name: str, threshold: float = 0.5) -> Response:
        if "expired" in questions[number] and name == "mask.png":
            return JSONResponse({"error": "This result has expired."}, 404)
        values = probability_of(questions[number])
        if name in ("probability.png", "map.png"):
            return png(np.stack([values, np.full_like(values, 255)], axis=2))
        if name == "mask.png":
            return png((values > 255 * threshold).astype(np.uint8) * 255)
        if name == "overlay.png":
            picture = block_picture()
            picture[values > 255 * threshold] = (230, 85, 13)
            return png(picture)
        return Response(f"{name} at {threshold} of {questions[number]}", media_type="application/octet-stream")

    app.mount("/static", StaticFiles(directory=SERVE / "static"))
    return app
