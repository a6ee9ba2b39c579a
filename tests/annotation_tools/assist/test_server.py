"""Label Studio's ML-backend protocol: requests as Label Studio 1.23.2 sends them, and requests that it never would."""

import base64
import threading

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from annotation_tools.assist.assistant import WAITING, Assistant
from annotation_tools.assist.grabcut import GrabCut
from annotation_tools.assist.server import create_app
from annotation_tools.assist.subjects import ServerSubjects, Subject
from annotation_tools.formats.brush import decode_brush
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.config import label_config, with_click_tools
from earthreason.errors import DataFormatError

HEIGHT, WIDTH = 60, 80
CONFIG = with_click_tools(label_config(["pond"]))
TASK = {"id": 7, "data": {"task": "a", "image": "/data/upload/1/a.png"}}


class Halves:
    """Marks the left half without clicks, and what is left of the click with one."""

    def predict(self, images, questions):
        return [np.arange(image.width) < image.width / 2 + np.zeros((image.height, 1)) for image in images]

    def segment_shown(self, image, prompts):
        return np.arange(image.width) < prompts.clicks[0].x + np.zeros((image.height, 1))


class OneSubject:
    def of_task(self, task):
        return Subject(Image.new("RGB", (WIDTH, HEIGHT)), "where?")


def client(model=None, key=None):
    app = create_app(Assistant(model or Halves(), "halves", OneSubject()), key)
    return TestClient(app, raise_server_exceptions=False)


def body(context=None, **changes):
    return {"tasks": [TASK], "label_config": CONFIG, "project": "1.2", "params": {"context": context}} | changes


def keypoint(x, y, **facts):
    return {"type": "keypoint", "value": {"x": x, "y": y, "width": 1}, "is_positive": True} | facts


def mask_of(answer):
    (region,) = answer.json()["results"][0]["result"]
    assert (region["from_name"], region["to_name"], region["value"]["brushlabels"]) == ("brush", "image", ["brush"])
    assert (region["original_height"], region["original_width"]) == (HEIGHT, WIDTH)
    return decode_brush(region["value"]["rle"], HEIGHT, WIDTH)


def test_health_and_setup_answer_as_label_studio_expects():
    assert client().get("/health").json()["status"] == "UP"
    setup = client().post("/setup", json={"project": "1.2", "schema": CONFIG, "hostname": "http://10.0.0.1"})
    assert setup.json() == {"model_version": "halves"}


def test_a_click_is_answered_with_a_mask_at_the_size_of_the_picture():
    mask = mask_of(client().post("/predict", json=body({"result": [keypoint(25, 50)]})))
    assert mask[:, :20].all()
    assert not mask[:, 20:].any()


class ReadsQuestions:
    """Marks the left half, whatever is asked; has a `segment` that takes questions, as baselines do."""

    def predict(self, images, questions):
        return Halves.predict(self, images, questions)

    def segment(self, images, questions):
        raise AssertionError("clicks are not questions")


def test_a_model_that_reads_questions_answers_the_question_at_any_click():
    mask = mask_of(client(ReadsQuestions()).post("/predict", json=body({"result": [keypoint(25, 50)]})))
    assert mask.sum() == HEIGHT * WIDTH / 2


@pytest.mark.parametrize("model", [None, ReadsQuestions()], ids=["guided by clicks", "reads questions"])
def test_without_a_click_nothing_is_offered(model):
    """Label Studio asks on opening a task, and would put the answer into the new drawing."""
    assert client(model).post("/predict", json=body()).json()["results"][0]["result"] == []


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        (b"{", 400, "the body is not JSON"),
        (b"3", 400, "a JSON int, not an object"),
        (b"[" * 100_000, 400, "the body is not JSON"),
        (body(tasks=[3]), 400, "'tasks' must be a list of objects"),
        (body(label_config=None), 400, "'label_config' must be"),
        (body(label_config="<View/>"), 400, "has no <BrushLabels>"),
        (body(label_config="<!DOCTYPE x [<!ENTITY a 'b'>]><View/>"), 400, "which are refused"),
        (body({"result": 3}), 400, "must be an object with a list"),
        (body({"result": []}), 400, "neither a click"),
        (body({"result": [keypoint("x", 1)]}), 400, "result 1: not a click"),
        (body({"result": [keypoint(float("nan"), 1)]}), 400, "not a number"),
        (body({"result": [keypoint(1, 1)] * 201}), 400, "at most 200"),
    ],
)
def test_bad_requests_get_one_line(sent, status, message):
    import json

    content = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    answer = client().post("/predict", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert message in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_bodies_that_other_sites_could_send_are_refused():
    assert client().post("/predict", content=b"{}", headers={"content-type": "text/plain"}).status_code == 415


def test_large_bodies_are_refused(monkeypatch):
    monkeypatch.setattr("annotation_tools.assist.server.LARGEST_BODY", 100)
    assert client().post("/predict", json=body()).status_code == 413


@pytest.mark.parametrize("path", ["/health", "/versions"])
def test_with_a_key_every_request_must_carry_it(path):
    guarded = client(key="secret")
    assert guarded.get(path).status_code == 401
    assert guarded.get(path, auth=("assist", "guess")).status_code == 401
    assert guarded.get(path, auth=("assist", "secret")).status_code == 200
    assert guarded.post("/predict", json=body()).status_code == 401
    broken = {"authorization": "Basic " + base64.b64encode(b"\xff").decode()}
    assert guarded.get(path, headers=broken).status_code == 401


def test_the_model_answers_one_request_at_a_time_and_few_wait():
    running, go = threading.Semaphore(0), threading.Event()
    at_once = []

    class Slow(ReadsQuestions):
        busy = 0

        def predict(self, images, questions):
            self.busy += 1
            at_once.append(self.busy)
            running.release()
            go.wait(30)
            self.busy -= 1
            return super().predict(images, questions)

    assistant = Assistant(Slow(), "slow", OneSubject())
    served = TestClient(create_app(assistant))
    answers = []
    clicked = body({"result": [keypoint(25, 50)]})
    ask = lambda: answers.append(served.post("/predict", json=clicked).status_code)  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(WAITING + 3)]
    for thread in threads:
        thread.start()
    running.acquire(timeout=30)
    while len(answers) < 2:  # two find no place
        threading.Event().wait(0.01)
    go.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * (WAITING + 1) + [503] * 2
    assert set(at_once) == {1}


def fake_label_studio(httpx_transport_answers):
    import httpx

    def handle(request):
        httpx_transport_answers.append(str(request.url))
        return httpx.Response(200, json={"release": "1.23.2"})

    return LabelStudioClient("http://labels.example", "token", httpx.MockTransport(handle))


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "//evil.example/data/x.png",
        "http://labels.example:81/data/x.png",
        "http://labels.example@evil.example/data/x.png",
        "/api/users/",
        "/data/../api/users/",
        "/data/%2e%2e/api/users/",
        "file:///etc/passwd",
    ],
)
def test_pictures_are_fetched_from_the_named_label_studio_only(address):
    seen = []
    subjects = ServerSubjects(fake_label_studio(seen))
    before = len(seen)
    with pytest.raises(DataFormatError, match="not a file kept by http://labels.example"):
        subjects.of_task({"id": 1, "data": {"image": address}})
    assert len(seen) == before


@pytest.mark.parametrize("shown", ["a box", "a click"])
def test_grabcut_finds_a_disc_from_a_box_or_a_click(shown):
    from annotation_tools.assist.prompts import Click, Prompts

    rows, columns = np.mgrid[:240, :320]
    disc = (rows - 120) ** 2 + (columns - 150) ** 2 <= 40**2
    assert disc.sum() == 5025  # lattice points in a circle of radius 40 (OEIS A000328)
    pixels = np.random.default_rng(0).normal((70, 90, 60), 6, (240, 320, 3))
    pixels[disc] = np.random.default_rng(1).normal((190, 150, 120), 6, (5025, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    prompts = Prompts(boxes=((105, 75, 196, 166),)) if shown == "a box" else Prompts((Click(150, 120),))
    found = GrabCut().segment_shown(image, prompts)
    assert (found & disc).sum() / (found | disc).sum() > 0.99
