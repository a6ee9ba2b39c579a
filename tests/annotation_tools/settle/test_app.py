import io
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the annotation extra is not installed")
from fastapi.testclient import TestClient

from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.release import settled_entries
from annotation_tools.rulings import all_rulings, current_consensus, returned_comments
from annotation_tools.settle.app import create_app, difference_png
from annotation_tools.settle.queue import SettleQueue

from ..conftest import box, drawn, free_port

ROOT = Path(__file__).resolve().parents[3]
SIZE = (20, 30)
LEFT, RIGHT, BOTH = box(SIZE, 2, 2, 12, 12), box(SIZE, 2, 8, 12, 20), box(SIZE, 2, 8, 12, 12)
EMPTY = np.zeros(SIZE, bool)
LATER = "2027-01-01T10:00:00Z"


@pytest.fixture
def waiting(workspace):
    """`a`: two people differ; `b`: they agree; `c`: disjoint; `d`: half say there is no target."""
    workspace.add_drawings(
        [
            drawn("a", LEFT, "ana"),
            drawn("a", RIGHT, "ben", category="lake"),
            *(drawn("b", LEFT, who) for who in ("ana", "ben")),
            drawn("c", box(SIZE, 0, 0, 5, 5), "ana"),
            drawn("c", box(SIZE, 10, 10, 15, 15), "ben"),
            drawn("d", LEFT, "ana"),
            drawn("d", EMPTY, "ben"),
        ]
    )
    workspace.write_consensus(adjudicate(workspace.drawings(), Rules()))
    return workspace


@pytest.fixture
def client(waiting):
    return TestClient(create_app(SettleQueue(waiting, Rules())))


def ask(client, task="a"):
    return client.get("/api/task", params={"task": task}).json()


def rule(client, case, choice, **more):
    same = {"task": case["task"], "sources": case["sources"], "revision": case["revision"], "by": "cleo"}
    return client.post("/api/ruling", json=same | {"choice": choice, "key": str(uuid.uuid4())} | more)


def fingerprint(case, who):
    return next(drawing["fingerprint"] for drawing in case["drawings"] if drawing["annotator"] == who)


def test_only_tasks_that_wait_are_shown_with_their_reason(client):
    assert [entry["task"] for entry in client.get("/api/tasks").json()] == ["a", "c", "d"]
    case = ask(client)
    assert case["reason"] == "IoU 0.22 is below 0.7; categories differ: lake, pond"  # 40 of 180 pixels
    assert [drawing["annotator"] for drawing in case["drawings"]] == ["ana", "ben"]
    assert case["merged"]["pixels"] == 40
    assert ask(client, "d")["empty_said"] == ["ben"]


def test_a_drawing_that_was_taken_is_exported_and_names_who_took_it(client, waiting):
    case = ask(client)
    answer = rule(client, case, "drawing", taken=fingerprint(case, "ben"))
    assert answer.status_code == 200
    entry = settled_entries(waiting)["a"]
    assert np.array_equal(entry.drawing.mask, RIGHT)
    assert (entry.drawing.category, entry.method) == ("lake", "adjudicator")
    assert [person["annotator"] for person in entry.behind] == ["ana", "ben", "cleo"]
    assert answer.json()["done"] == 1


def test_the_merged_drawing_gets_a_category_that_somebody_chose(client, waiting):
    case = ask(client)
    refused = rule(client, case, "merged", category="sea")
    assert refused.status_code == 404
    assert "chosen by nobody" in refused.json()["error"]
    assert rule(client, case, "merged", category="lake").status_code == 200
    entry = settled_entries(waiting)["a"]
    assert np.array_equal(entry.drawing.mask, BOTH)
    assert entry.drawing.category == "lake"


def test_an_empty_merged_mask_cannot_be_taken(client, waiting):
    case = ask(client, "c")
    assert case["merged"]["is_empty"]
    answer = rule(client, case, "merged")
    assert answer.status_code == 404
    assert "no pixels" in answer.json()["error"]
    assert all_rulings(waiting) == []


def test_no_target_is_said_by_a_person_or_confirmed(client, waiting):
    case = ask(client, "c")
    assert "confirm that you say so" in rule(client, case, "empty").json()["error"]
    assert "c" not in settled_entries(waiting)
    assert rule(client, case, "empty", confirmed=True).status_code == 200
    assert rule(client, ask(client, "d"), "empty").status_code == 200
    settled = settled_entries(waiting)
    assert settled["c"].drawing.is_empty
    assert settled["d"].drawing.is_empty


def test_draw_again_needs_a_comment_that_those_who_draw_are_told(client, waiting):
    assert rule(client, ask(client), "again", comment=" ").status_code == 404
    assert rule(client, ask(client), "again", comment="only the pond").status_code == 200
    assert returned_comments(waiting) == {"a": "only the pond"}
    assert not current_consensus(waiting)["a"].settled
    waiting.add_drawings([drawn("a", LEFT, "dora", created=LATER)])
    assert returned_comments(waiting) == {}
    assert "a" not in [entry["task"] for entry in client.get("/api/tasks").json()], "one new drawing does not differ"


def test_a_ruling_holds_only_for_the_drawings_it_was_made_from(client, waiting):
    case = ask(client)
    rule(client, case, "drawing", taken=fingerprint(case, "ana"))
    waiting.add_drawings([drawn("a", BOTH, "ben", created=LATER)])
    waiting.write_consensus(adjudicate(waiting.drawings(), Rules()))
    assert "a" not in settled_entries(waiting)
    assert ask(client)["ruling"] is None


def test_drawings_that_came_since_adjudicate_wait_too_and_a_stale_page_changes_nothing(client, waiting):
    case = ask(client)
    waiting.add_drawings([drawn("b", RIGHT, "ben", created=LATER), drawn("a", BOTH, "ben", created=LATER)])
    assert [entry["task"] for entry in client.get("/api/tasks").json()] == ["a", "b", "c", "d"]
    answer = rule(client, case, "drawing", taken=fingerprint(case, "ana"))
    assert answer.status_code == 409
    assert "drawn this task again" in answer.json()["error"]
    assert all_rulings(waiting) == []


def test_two_windows_do_not_overwrite_each_other_and_a_repeated_request_counts_once(client, waiting):
    case = ask(client)
    key = str(uuid.uuid4())
    for _ in range(2):
        assert rule(client, case, "drawing", taken=fingerprint(case, "ana"), key=key).status_code == 200
    other = rule(client, case, "drawing", taken=fingerprint(case, "ben"), by="dora")
    assert other.status_code == 409
    assert "cleo has ruled on it in another window" in other.json()["error"]
    assert [ruling.by for ruling in all_rulings(waiting)] == ["cleo"]


def test_a_withdrawn_ruling_leaves_the_task_waiting(client, waiting):
    case = ask(client)
    assert rule(client, case, "withdraw").status_code == 404
    rule(client, case, "drawing", taken=fingerprint(case, "ana"))
    assert rule(client, ask(client), "withdraw").status_code == 200
    assert "a" not in settled_entries(waiting)
    assert ask(client)["ruling"] is None


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ({"task": "unknown"}, 404, "does not wait for a third person"),
        ({"task": "b"}, 404, "does not wait for a third person"),
        ({"choice": "perhaps"}, 404, "known: drawing"),
        ({"taken": "0" * 16}, 404, "choose one of the drawings"),
        ({"by": "   "}, 404, "a name must have"),
        ({"by": "x" * 61}, 422, "by"),
        ({"key": "k"}, 422, "key"),
        ({"revision": -1}, 422, "revision"),
        ({"sources": "a"}, 422, "sources"),
        ({"other": 1}, 422, "other"),
        ({"comment": "x" * 2001}, 422, "comment"),
    ],
)
def test_bad_rulings_say_why_and_store_nothing(client, waiting, more, status, message):
    case = ask(client)
    answer = rule(client, case, **{"choice": "drawing", "taken": fingerprint(case, "ana")} | more)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert all_rulings(waiting) == []


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'"x"', b"\xff"])
def test_bodies_that_are_no_ruling_are_refused(client, body):
    answer = client.post("/api/ruling", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


def test_masks_and_their_difference_are_those_drawn(client):
    case = ask(client)
    for who, mask in (("ana", LEFT), ("ben", RIGHT)):
        shown = client.get("/mask", params={"task": "a", "layer": fingerprint(case, who)})
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.content)).convert("RGBA"))[..., 3] > 0, mask)
    pixels = np.asarray(Image.open(io.BytesIO(client.get("/difference", params={"task": "a"}).content)).convert("RGBA"))
    assert pixels[5, 4].tolist() == [214, 39, 160, 255]
    assert pixels[5, 15].tolist() == [255, 200, 30, 255]
    assert pixels[5, 10, 3] == 0
    for path in ("/mask?task=a&layer=nothing", "/mask?task=zzz&layer=merged", "/difference?task=a&box=0,0,99,1"):
        assert client.get(path).status_code == 404


def test_of_three_people_the_colour_tells_how_many():
    masks = [
        np.array([[True, True, True, False]]),
        np.array([[False, True, True, False]]),
        np.array([[False, False, True, False]]),
    ]
    pixels = np.asarray(Image.open(io.BytesIO(difference_png(masks, False))).convert("RGBA"))[0]
    assert pixels[:2, :3].tolist() == [[255, 200, 30], [214, 39, 160]]
    assert pixels[2:, 3].tolist() == [0, 0]


def test_a_hostile_name_is_shown_as_text_and_pages_have_no_inline_script(client):
    page = client.get("/settle", params={"by": "<b>Änne 李</b>"})
    assert "<b>Änne" not in page.text
    assert "&lt;b&gt;Änne 李" in page.text
    for text in (page.text, client.get("/").text):
        assert "<script>" not in text
        assert "style=" not in text
    client.headers["Origin"] = "http://elsewhere.example"
    assert client.post("/api/ruling", json={}).status_code == 403


def test_kill_9_loses_no_ruling_that_was_shown_as_saved(waiting):
    saved = []
    for _ in range(2):
        port = free_port()
        command = [sys.executable, "-m", "annotation_tools", "settle", str(waiting.root), "--port", str(port)]
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
        )
        thread = threading.Thread(target=rule_until_it_dies, args=(port, saved))
        try:
            thread.start()
            before, end = len(saved), time.monotonic() + 60
            while len(saved) < before + 8 and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
        thread.join(30)
    assert len(saved) >= 16
    assert set(saved) <= {ruling.key for ruling in all_rulings(waiting)}


def rule_until_it_dies(port, saved):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        for _ in range(300):
            try:
                client.get("/")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        try:
            while True:
                case, key = ask(client), str(uuid.uuid4())
                if rule(client, case, "drawing", taken=fingerprint(case, "ana"), key=key).status_code == 200:
                    saved.append(key)
        except httpx.TransportError:
            return
