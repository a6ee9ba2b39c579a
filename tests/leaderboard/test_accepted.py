"""Every form of predictions that the board names is taken by the form and by the API, and gets the same scores."""

import gzip
import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from earthreason.masks.rle import decode_rle
from earthreason.metrics.references import write_references
from leaderboard.engines.scoring import run_codabench
from tests.leaderboard.toys import make_predictions, make_references, sign_in

PREDICTIONS = json.loads(make_predictions(make_references()))["predictions"]
MASKS = {each["sample_id"]: decode_rle(each["segmentation"]) for each in PREDICTIONS}
LINES = "\n".join(map(json.dumps, PREDICTIONS)).encode()
WHOLE = json.dumps({"info": {"model": "toy"}, "predictions": PREDICTIONS}).encode()


def picture(mask, form):
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, form)
    return buffer.getvalue()


def array(mask):
    buffer = io.BytesIO()
    np.save(buffer, mask)
    return buffer.getvalue()


def zipped(ending, content_of):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mask in MASKS.items():
            archive.writestr(f"masks/{name}{ending}", content_of(mask))
    return buffer.getvalue()


def numpy_archive():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **MASKS)
    return buffer.getvalue()


FILES = {
    "a.json": lambda: WHOLE,
    "list.json": lambda: json.dumps(PREDICTIONS).encode(),
    "a.jsonl": lambda: LINES,
    "info.ndjson": lambda: b'{"info": {"model": "toy"}}\n' + LINES,
    "a.json.gz": lambda: gzip.compress(WHOLE),
    "a.jsonl.gz": lambda: gzip.compress(LINES),
    "a.npz": numpy_archive,
    "png.zip": lambda: zipped(".png", lambda mask: picture(mask, "PNG")),
    "tif.zip": lambda: zipped(".tif", lambda mask: picture(mask, "TIFF")),
    "npy.zip": lambda: zipped(".npy", array),
}


@pytest.fixture
def published(hand):
    """Scores of the plain JSON file, submitted through the API."""
    submission_id = hand.submit(make_predictions(make_references()), "beta", split="toy/open")
    hand.score()
    return hand.get(submission_id, "beta").json()["result"]["protocols"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_accepted_form_is_scored_alike_through_form_and_api(hand, published):
    cookie = sign_in(hand)
    page = hand.client.get("/submit", headers={"Cookie": cookie}).text
    key = re.search('name="key" value="([^"]+)"', page).group(1)
    accepted = re.search('accept="([^"]+)"', page).group(1).split(",")
    for name, make in FILES.items():
        assert name.endswith(tuple(accepted)), name
        content = make()
        if name.startswith("a."):
            submission_id = hand.submit(content, split="toy/open")
        else:
            form = {"key": key, "split": "toy/open", "model": "M", "training": "trained"}
            sent = hand.client.post(
                "/submit",
                data=form,
                files={"predictions": (name, content)},
                headers={"Cookie": cookie},
                follow_redirects=False,
            )
            assert sent.status_code == 303, sent.text
            submission_id = sent.headers["location"].partition("#")[2]
        hand.score()
        told = hand.get(submission_id).json()
        assert told["state"] == "scored", (name, told)
        for protocol in ("segearth-r1", "native"):
            found = told["result"]["protocols"][protocol]["scores"]["all"]["gIoU"][0]
            assert found == pytest.approx(published[protocol]["scores"]["all"]["gIoU"][0], abs=5e-5), name


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_page_and_api_name_the_same_forms(hand):
    page = hand.client.get("/submit", headers={"Cookie": sign_in(hand)}).text
    described = hand.client.get("/api/openapi.json").json()["paths"]
    put = described["/api/submissions/{submission_id}/predictions"]["put"]["description"]
    for form in ("JSON Lines", "gzip", ".npz", "PNG, TIFF or .npy"):
        assert form in page
        assert form in put


@pytest.mark.parametrize("name", FILES)
def test_a_codabench_submission_of_every_form_is_scored_alike(tmp_path, name):
    """The host unpacks the zip that was uploaded, so masks lie in a folder."""
    references = make_references()
    scores = {}
    for folder, file, content in (("plain", "a.json", WHOLE), ("other", name, FILES[name]())):
        given = tmp_path / folder / "res"
        given.mkdir(parents=True)
        (tmp_path / folder / "ref").mkdir()
        (tmp_path / folder / "ref" / "split.json").write_text('{"split": "val"}')
        write_references(tmp_path / folder / "ref" / "truth.json", references)
        if file.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(given)
        else:
            (given / file).write_bytes(content)
        assert run_codabench(["score.py", str(tmp_path / folder), str(tmp_path / folder / "out")]) == 0
        scores[folder] = json.loads((tmp_path / folder / "out" / "scores.json").read_text())
    assert scores["other"] == scores["plain"]
