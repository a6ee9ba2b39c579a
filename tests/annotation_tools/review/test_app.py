import io
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the annotation extra is not installed")
from fastapi.testclient import TestClient

from annotation_tools.review.app import create_app
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan
from annotation_tools.review.pictures import PREVIEW
from annotation_tools.review.store import ReviewStore
from annotation_tools.review.verdicts import write_verdicts
from earthreason.questions.ledger import Ledger
from earthreason.questions.reviews import read_review
from earthreason.questions.types import Generated


@pytest.fixture
def review(tmp_path, release):
    store = open_review(str(release), tmp_path / "review", Plan(overlap=0, second_pass=0))
    yield store
    store.close()


@pytest.fixture
def client(review):
    return open_client(review)


def open_client(store, **more):
    """A client whose pages are of the store's review."""
    client = TestClient(create_app(store), **more)
    client.params = {"review": store.review}
    return client


def ask(client, place=None):
    where = {} if place is None else {"place": place}
    return client.get("/api/place", params={"reviewer": "anna", **where}).json()["item"]


def judge(client, item, verdict="accept", **more):
    body = {
        "review": client.params["review"],
        "reviewer": "anna",
        "item": item["item"],
        "place": item["place"],
        "verdict": verdict,
        "revision": 0,
        "key": f"key-{item['place']:06d}-{verdict}",
        **more,
    }
    return client.post("/api/verdict", json=body)


def test_category_file_name_and_answers_are_hidden_until_all_about_the_image_is_judged(client, tmp_path, release):
    for qa in release.rglob("QAs/*.json"):
        qa.write_text(json.dumps(json.loads(qa.read_text()) | {"category": "lighthouse"}))
    store = open_review(str(release), tmp_path / "named", Plan(overlap=0, second_pass=0))
    client = open_client(store)
    first = ask(client)
    told = json.dumps(first)
    assert "lighthouse" not in told
    assert "There." not in told
    assert first["after"] is None
    after_one = judge(client, first).json()["item"]
    assert after_one["after"] is None
    assert after_one["rest"] == 1
    after_all = judge(client, ask(client)).json()["item"]["after"]
    assert after_all["category"] == "lighthouse"
    assert after_all["answers"] == ["There."]


def saw_answers(review):
    return {(verdict["sample_id"], verdict["number"]): verdict["saw_answers"] for verdict in review.verdicts()}


def test_answers_are_shown_when_asked_for_and_every_verdict_on_that_image_remembers_it(client, review):
    judge(client, ask(client))
    second = ask(client)
    told = client.get("/api/answers", params={"reviewer": "anna", "place": second["place"]})
    assert told.json() == {"answers": ["There."]}
    judge(client, second)
    judge(client, ask(client))
    assert saw_answers(review) == {("a", 0): False, ("a", 1): True, ("b", 0): False}
    again = ask(client, 0)
    judge(client, again, "reject", reasons=["leak"], revision=again["verdict"]["revision"])
    assert saw_answers(review)["a", 0]
    refused = client.get("/api/answers", params={"reviewer": "anna", "place": 99})
    assert refused.status_code == 404


def test_a_verdict_changed_after_the_category_was_told_says_so_whatever_was_undone_between(client, review):
    judge(client, ask(client))
    last = judge(client, ask(client)).json()
    assert last["item"]["after"]["answers"] == ["There."]
    assert not any(saw_answers(review).values())
    body = {"review": review.review, "reviewer": "anna", "event": last["progress"]["last"]}
    client.post("/api/undo", json=body)
    judge(client, ask(client, 1), "reject", reasons=["leak"])
    assert saw_answers(review) == {("a", 0): False, ("a", 1): True}


def test_a_verdict_comes_back_as_saved_with_progress(client):
    answer = judge(client, ask(client), "reject", reasons=["leak"], seconds=3.5).json()
    assert answer["item"]["verdict"]["verdict"] == "reject"
    assert answer["item"]["verdict"]["seconds"] == 3.5
    assert answer["progress"]["mine"] == 1


def test_looking_ahead_takes_no_image_from_others(client):
    item = ask(client)
    coming = client.get("/api/ahead", params={"reviewer": "anna", "place": item["questions"]}).json()
    assert coming == {"sample": 2, "is_empty": False}
    ben = client.get("/api/place", params={"reviewer": "ben"}).json()["item"]
    assert ben["sample"] == 2
    coming = client.get("/api/ahead", params={"reviewer": "anna", "place": item["questions"]}).json()
    assert coming["sample"] == 3
    assert client.get("/api/ahead", params={"reviewer": "anna", "place": 99}).json() == {}
    assert client.get("/api/ahead", params={"reviewer": "anna", "place": 0}).json()["sample"] == item["sample"]


def test_undo_and_drafts(client):
    item = ask(client)
    who = {"review": client.params["review"], "reviewer": "anna"}
    assert client.post("/api/draft", json={**who, "place": 0, "text": "half a"}).json() == {"saved": True}
    assert ask(client, 0)["draft"] == "half a"
    event = judge(client, item, "edit", text="Where else?").json()["progress"]["last"]
    assert ask(client, 0)["draft"] == ""
    assert client.post("/api/undo", json={**who, "event": event}).json()["place"] == 0
    assert ask(client, 0)["verdict"] is None


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        ({"verdict": "reject"}, 422, "reject needs a reason"),
        ({"place": 99}, 404, "has no place 99"),
        ({"verdict": "perhaps"}, 422, "known: accept"),
        ({"seconds": -1}, 422, "seconds"),
        ({"reviewer": ""}, 422, "reviewer"),
    ],
)
def test_bad_verdicts_say_why(client, more, status, message):
    answer = judge(client, ask(client), **{"verdict": "accept", **more})
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_a_page_of_another_review_judges_and_shows_nothing(client, review, tmp_path, release):
    other = open_review(str(release), tmp_path / "other", Plan(overlap=0, second_pass=0, seed=1))
    stale, item = open_client(other), ask(client)
    stale.params = client.params
    who = {"review": client.params["review"], "reviewer": "anna"}
    other.item("anna")
    answers = [
        judge(stale, item),
        stale.get("/api/place", params=who),
        stale.get("/api/answers", params={**who, "place": 0}),
        stale.post("/api/undo", json={**who, "event": 1}),
        stale.get("/picture/1"),
        stale.get("/mask/1"),
        stale.post("/api/draft", json={**who, "place": 0, "text": "half"}),
    ]
    for answer in answers:
        assert answer.status_code == 409
        assert answer.json()["other_review"]
        assert "another review is now served at this address" in answer.json()["error"]
    assert other.rows("SELECT COUNT(*) FROM events") == [(0,)]
    assert other.item("anna", 0).draft == ""
    other.close()
    assert ReviewStore(tmp_path / "other" / "review.sqlite").review == other.review != review.review


def test_a_verdict_about_another_question_than_the_one_at_its_place_is_refused(client):
    item = ask(client)
    answer = judge(client, item | {"item": item["item"] + 1})
    assert answer.status_code == 409
    assert "another question is now at this place" in answer.json()["error"]
    assert ask(client, 0)["verdict"] is None


def test_pages_of_other_addresses_cannot_judge(client):
    client.headers["Origin"] = "http://elsewhere.example"
    answer = judge(client, {"item": 1, "place": 0})
    del client.headers["Origin"]
    assert answer.status_code == 403
    assert ask(client, 0)["verdict"] is None


def test_a_name_pointed_at_this_machine_from_elsewhere_is_not_answered(review):
    client = TestClient(create_app(review, ("127.0.0.1", "localhost")), base_url="http://evil.example")
    assert client.get("/api/place", params={"reviewer": "anna"}).status_code == 400


def test_the_start_page_tells_how_much_others_judged_and_not_what(client):
    judge(client, ask(client), "reject", reasons=["leak"])
    page = client.get("/").text
    assert "<td>anna</td><td>1</td>" in page
    assert "1 of 12 judged" in page


def test_pages_have_no_inline_script_and_a_strict_policy(client):
    for path in ("/", "/review"):
        page = client.get(path, params={"reviewer": "anna"})
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "<script>" not in page.text
        assert " onclick" not in page.text
        assert "style=" not in page.text


def test_a_hostile_name_is_shown_as_text_or_refused(client):
    assert "<b>x</b>" not in client.get("/review", params={"reviewer": "<b>x</b>"}).text
    assert client.get("/review", params={"reviewer": " "}).status_code == 404


def test_large_pictures_are_previews_and_sharp_where_one_looks(client, release):
    picture = next((release / "train" / "images").glob("a.*"))
    wide = np.zeros((40, PREVIEW * 2, 3), np.uint8)
    wide[:, 100:140] = 255
    Image.fromarray(wide).save(picture, quality=95)
    preview = Image.open(io.BytesIO(client.get("/picture/1").content))
    part = np.asarray(Image.open(io.BytesIO(client.get("/picture/1", params={"box": "90,0,60,40"}).content)))
    assert preview.width == PREVIEW
    assert part.shape == (40, 60, 3)
    assert part[:, 12:48].min() > 200
    assert part[:, :8].max() < 60


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "0,0,99999,1", "-1,0,5,5", "0,0,0,5"])
def test_parts_outside_the_image_are_refused(client, box):
    for path in ("/picture/1", "/mask/1"):
        answer = client.get(path, params={"box": box})
        assert answer.status_code == 404
        assert "box" in answer.json()["error"] or "outside the image" in answer.json()["error"]


def test_a_part_of_the_overlay_is_that_part_of_the_mask(client, release):
    part = client.get("/mask/1", params={"box": "3,2,10,6"})
    overlay = np.asarray(Image.open(io.BytesIO(part.content)).convert("RGBA"))[..., 3] > 0
    truth = np.asarray(Image.open(release / "train" / "labels" / "a.png")) > 0
    assert np.array_equal(overlay, truth[2:8, 3:13])


def test_a_picture_is_shown_as_its_pixels_lie(client, release):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (32, 24)).save(next((release / "train" / "images").glob("a.*")), exif=exif)
    shown = Image.open(io.BytesIO(client.get("/picture/1").content))
    assert shown.size == (32, 24)
    assert 0x0112 not in shown.getexif()


def test_the_overlay_is_the_mask(client, release):
    overlay = np.asarray(Image.open(io.BytesIO(client.get("/mask/1").content)).convert("RGBA"))[..., 3] > 0
    truth = np.asarray(Image.open(release / "train" / "labels" / "a.png")) > 0
    assert np.array_equal(overlay, truth)


def test_a_picture_that_was_moved_is_named(client, release):
    next((release / "train" / "images").glob("a.*")).unlink()
    answer = client.get("/picture/1")
    assert answer.status_code == 404
    assert "was it moved or changed?" in answer.json()["error"]


def test_the_verdicts_of_a_run_go_back_into_it(tmp_path, release):
    run = tmp_path / "run"
    ledger = Ledger(run / "ledger.sqlite")
    ledger.remember("source", str(release))
    ledger.finish("test", Generated("e", "done", ["Where to rest?", "Where to swim?"], ["By the shore."]))
    ledger.finish("test", Generated("f", "done", ["Where would one ski?"], [], concept="ski slope"))
    ledger.finish("train", Generated("a", "quarantined", ["Bad"], [], reason="x"))
    store = open_review(str(run), tmp_path / "review", Plan(overlap=0, second_pass=0))
    assert store.questions == 3
    client = open_client(store)
    judge(client, ask(client), "edit", text="Where could one rest?")
    judge(client, ask(client), "reject", reasons=["leak", "language"], note="says swim")
    empty = ask(client)
    assert empty["is_empty"]
    judge(client, empty)
    assert write_verdicts(store, tmp_path / "v.jsonl") == {"accept": 1, "edit": 1, "reject": 1}
    assert read_review(ledger, tmp_path / "v.jsonl") == ({"accept": 1, "edit": 1, "reject": 1}, 0)
    rejected = ledger.reviews()[1]
    assert (rejected.split, rejected.sample_id, rejected.question) == ("test", "e", "Where to swim?")
    assert (rejected.verdict, rejected.text) == ("reject", "")
    assert (rejected.reason, rejected.reviewer) == ("leak, language; says swim", "anna")
    assert rejected.saved == list(store.verdicts())[1]["saved"]
