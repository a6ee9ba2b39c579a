"""Only reviewers judge; a lead sees all verdicts, withdraws them and settles disputes."""

import json

import pytest

pytest.importorskip("fastapi", reason="the annotation extra is not installed")
from fastapi.testclient import TestClient

from annotation_tools.review.app import create_app
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan
from annotation_tools.review.roles import Roles
from annotation_tools.review.verdicts import settle_reviews, write_verdicts


@pytest.fixture
def store(tmp_path, release):
    opened = open_review(str(release), tmp_path / "review", Plan(overlap=1, per_image=2, second_pass=0))
    yield opened
    opened.close()


@pytest.fixture
def client(store):
    client = TestClient(create_app(store, roles=Roles.of(["anna", "Ben  B."], ["Léa"])))
    client.params = {"review": store.review}
    return client


def judge(client, who, verdict="accept", **more):
    item = client.get("/api/place", params={"reviewer": who}).json()["item"]
    same = {"review": client.params["review"], "reviewer": who, "item": item["item"], "place": item["place"]}
    body = same | {"verdict": verdict, "revision": 0, "key": f"key-{who}-{item['place']:04d}"} | more
    assert client.post("/api/verdict", json=body).status_code == 200
    return item["item"]


def post(client, path, who="Léa", **more):
    return client.post(path, json={"review": client.params["review"], "reviewer": who} | more)


def test_only_reviewers_and_leads_judge(client, store):
    assert judge(client, "anna") == judge(client, "Ben B.") == 1
    judge(client, "Léa")
    assert "Only these people may judge: anna, Ben B." in client.get("/").text
    who = {"reviewer": "eve"}
    answers = [
        client.get("/review", params=who),
        client.get("/api/place", params=who),
        client.get("/api/answers", params={**who, "place": 0}),
        post(client, "/api/draft", "eve", place=0, text="x"),
        post(client, "/api/undo", "eve", event=1),
        post(client, "/api/verdict", "eve", item=1, place=0, verdict="accept", revision=0, key="key-eve-01"),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert "eve may not judge in this review; reviewers: anna, Ben B." in answers[0].json()["error"]


def test_only_leads_see_withdraw_and_decide(client, store):
    judge(client, "anna")
    refused = [
        client.get("/lead", params={"lead": "anna"}),
        post(client, "/api/withdraw", "anna", event=1),
        post(client, "/api/decide", "anna", item=1, verdict="accept"),
    ]
    assert [answer.status_code for answer in refused] == [403] * 3
    assert [entry["verdict"] for entry in store.verdicts()] == ["accept"]


def test_a_review_without_a_lead_has_no_such_page(store):
    answer = TestClient(create_app(store)).get("/lead", params={"lead": "Léa"})
    assert answer.status_code == 403
    assert "start it with --lead NAME" in answer.json()["error"]


def test_a_withdrawn_verdict_goes_back_to_its_reviewer_once(client, store):
    item = judge(client, "anna", "reject", reasons=["leak"])
    (event,) = (row[0] for row in store.rows("SELECT event FROM verdicts"))
    assert post(client, "/api/withdraw", event=event).status_code == 200
    assert list(store.verdicts()) == []
    assert client.get("/api/place", params={"reviewer": "anna"}).json()["item"]["item"] == item
    assert post(client, "/api/withdraw", event=event).status_code == 409
    assert store.rows("SELECT COUNT(*) FROM events WHERE kind = 'verdict'") == [(1,)]


def test_a_decision_settles_a_dispute_and_overrules_all_verdicts(client, store, tmp_path):
    item = judge(client, "anna", "reject", reasons=["leak"])
    judge(client, "Ben B.", "edit", text="Where might one dock?")
    assert "<b>disputed</b>" in client.get("/lead", params={"lead": "Léa"}).text
    (settled,) = settle_reviews(store).values()
    assert settled.questions[0].outcome == "disputed"
    assert post(client, "/api/decide", item=item, verdict="edit", text="Where might one dock?").status_code == 200
    (settled,) = settle_reviews(store).values()
    assert (settled.questions[0].outcome, settled.questions[0].text) == ("kept", "Where might one dock?")
    assert "<b>disputed</b>" not in client.get("/lead", params={"lead": "Léa"}).text
    assert write_verdicts(store, tmp_path / "v.jsonl") == {"edit": 1}
    lines = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [(line["reviewer"], line["verdict"]) for line in lines] == [("Ben B.", ""), ("Léa", "edit"), ("anna", "")]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"item": 999, "verdict": "accept"}, 404),
        ({"item": 1, "verdict": "unsure"}, 404),
        ({"item": 1, "verdict": "edit", "text": " "}, 404),
        ({"item": 0, "verdict": "accept"}, 422),
        ({"verdict": "accept"}, 422),
    ],
)
def test_bad_decisions_say_why_and_store_nothing(client, store, more, status):
    judge(client, "anna")
    answer = post(client, "/api/decide", **more)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert len(list(store.verdicts())) == 1


def test_hostile_texts_are_shown_as_text_to_the_lead(client):
    judge(client, "anna", "edit", text='"><script>x</script>', note="<b>")
    page = client.get("/lead", params={"lead": "Léa"}).text
    assert "<script>x" not in page
    assert "<b>;" not in page
