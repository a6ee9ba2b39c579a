"""What a team changes afterwards: descriptions, the final submission, deletion; and the trace that each leaves."""

import re

import pytest
from sqlalchemy import func, select

from earthreason.metrics.references import Reference
from leaderboard.jobs import JobOutcome, claim_job, finish_job
from leaderboard.splits import SplitContent, put_split
from leaderboard.tables import DELETED, GalleryPicture, ScoredResult, Submission, Upload
from leaderboard.tokens import form_key
from tests.leaderboard.toys import METADATA, make_predictions, make_references, sign_in

NEW = {**METADATA, "model": "Better name", "contact": "me@example.org"}


def patch(hand, submission_id, team="alpha", **body):
    return hand.client.patch(f"/api/submissions/{submission_id}", json=body, headers=hand.headers(team))


def history(hand, submission_id, team=None):
    answer = hand.client.get(f"/api/submissions/{submission_id}/history", headers=hand.headers(team) if team else {})
    assert answer.status_code == 200, answer.text
    return [(entry["author"], entry["action"], entry["details"]) for entry in answer.json()]


def test_a_published_row_is_edited_with_a_public_trace(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    answer = patch(hand, submission_id, metadata=NEW, card={"a": 1})
    assert (answer.status_code, answer.json()["metadata"]["model"]) == (200, "Better name")
    assert "Better name" in hand.client.get(f"/models/{submission_id}").text
    edited = ("Team Alpha", "edited", {"model": ["Model A", "Better name"], "card": [None, {"a": 1}]})
    assert history(hand, submission_id) == [edited, ("Team Alpha", "published", {})]
    page = hand.client.get(f"/models/{submission_id}/history").text
    assert "Better name" in page
    assert submission_id in hand.client.get("/history?split=toy/open").text
    assert "me@example.org" not in page + hand.client.get(f"/api/submissions/{submission_id}/history").text


def test_an_edit_in_a_private_spell_is_no_way_around_the_trace(hand, references):
    submission_id = hand.published(make_predictions(references))
    hand.set(submission_id, "private")
    patch(hand, submission_id, metadata=NEW)
    hand.set(submission_id, "public")
    actions = [action for _, action, _ in history(hand, submission_id)]
    assert actions == ["published", "edited", "made private", "published"]


def test_what_was_never_public_has_a_history_for_its_team_only(hand, references):
    submission_id = hand.submit(make_predictions(references))
    patch(hand, submission_id, metadata=NEW)
    assert [action for _, action, _ in history(hand, submission_id, "alpha")] == ["edited"]
    for headers in ({}, hand.headers("beta")):
        path = f"/api/submissions/{submission_id}/history"
        assert hand.client.get(path, headers=headers).status_code == 404
    assert hand.client.get("/api/history?split=toy/test").json() == []
    hand.score()
    hand.set(submission_id, "public")
    assert [action for _, action, _ in history(hand, submission_id)] == ["published"]


@pytest.mark.parametrize("body", [{}, {"visibility": "shown"}, {"final": False}, {"metadata": {"model": ""}}, {"x": 1}])
def test_a_change_that_is_none_is_refused(hand, references, body):
    submission_id = hand.published(make_predictions(references))
    assert patch(hand, submission_id, **body).status_code == 422
    assert len(history(hand, submission_id)) == 1


def test_other_teams_change_nothing(hand, references):
    submission_id = hand.published(make_predictions(references))
    assert patch(hand, submission_id, "beta", metadata=NEW).status_code == 404
    assert hand.client.delete(f"/api/submissions/{submission_id}", headers=hand.headers("beta")).status_code == 404
    assert hand.client.delete(f"/api/submissions/{submission_id}").status_code == 401
    assert hand.get(submission_id, None).json()["metadata"]["model"] == "Model A"


def test_flags_and_new_results_of_a_published_row_leave_a_trace(hand, references):
    submission_id = hand.published(make_predictions(references))
    flag = {"reason": "seen in training"}
    hand.client.put(f"/api/submissions/{submission_id}/flag", json=flag, headers=hand.headers("admin"))
    changed = make_references()
    changed._by_id["toy_001"] = Reference("toy_001", changed["toy_000"].segmentation)
    with hand.worker.database.write() as session:
        put_split(session, "toy", "test", SplitContent(changed, None), hidden=True)
    assert hand.score() == 1
    (author, action, details), flagged, _ = history(hand, submission_id)
    assert (author, action) == ("scoring", "scored again")
    assert details == {"dataset_sha256": [references.fingerprint(), changed.fingerprint()]}
    assert flagged == ("organisers", "flagged", {"flag": [None, "seen in training"]})


def test_the_same_file_with_other_words_says_what_it_did(hand, references):
    content = make_predictions(references)
    assert hand.announce(content).json()["notice"] is None
    submission_id = hand.submit(content)
    assert "nothing was changed" in hand.announce(content).json()["notice"]
    hand.score()
    kept = hand.announce(content, metadata=NEW).json()
    assert "stays as it was, which differs from what you sent (model)" in kept["notice"]
    assert kept["metadata"]["model"] == "Model A"
    hand.set(submission_id, "public")
    hand.set(submission_id, "withdrawn")
    back = hand.announce(content, metadata=NEW).json()
    assert "it was withdrawn and is now private; its description was replaced (model)" in back["notice"]
    assert history(hand, submission_id)[0] == ("Team Alpha", "restored", {"model": ["Model A", "Better name"]})


def test_deleting_removes_file_scores_and_words_and_keeps_the_trace(hand, references, database):
    content = make_predictions(references)
    submission_id = hand.published(content, split="toy/open")
    other = hand.submit(content, "beta", split="toy/open")
    patch(hand, submission_id, metadata=NEW)
    assert hand.client.delete(f"/api/submissions/{submission_id}", headers=hand.headers()).status_code == 204
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(ScoredResult)) == 0
        assert session.scalar(select(func.count()).select_from(GalleryPicture)) == 0
        assert session.scalar(select(func.count()).select_from(Upload)) == 1  # the other team's
        row = session.get(Submission, submission_id)
        assert (row.visibility, row.details, row.card, row.state) == (DELETED, {}, None, "scored")
    for path in ("/api/submissions/{}", "/models/{}", "/api/submissions/{}/samples.csv"):
        assert hand.client.get(path.format(submission_id), headers=hand.headers()).status_code == 404
    assert submission_id not in hand.client.get("/api/board?split=toy/open").text
    assert submission_id not in [
        row["id"] for row in hand.client.get("/api/submissions", headers=hand.headers()).json()
    ]
    actions = history(hand, submission_id)
    assert actions == [("Team Alpha", action, {}) for action in ("deleted", "edited", "published")]
    assert hand.client.get("/api/history?split=toy/open").json()[0]["submission"] == submission_id
    assert hand.client.delete(f"/api/submissions/{other}", headers=hand.headers("admin")).status_code == 204
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Upload)) == 0
    assert hand.score() == 0  # the other one was queued
    again = hand.announce(content, split="toy/open")
    assert (again.status_code, again.json()["id"] != submission_id) == (201, True)


def test_a_submission_that_is_deleted_while_it_is_scored_stays_deleted(hand, references, database, settings, tmp_path):
    submission_id = hand.submit(make_predictions(references))
    with database.write() as session:
        job = claim_job(session, settings)
    assert hand.client.delete(f"/api/submissions/{submission_id}", headers=hand.headers()).status_code == 204
    with database.write() as session:
        assert hand.worker._prepare(session, job, tmp_path) is None  # its file is gone
        assert finish_job(session, job, JobOutcome({}, b"", None, [], {}, 0.0)) is False
    assert hand.score() == 0
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(ScoredResult)) == 0
        assert session.get(Submission, submission_id).visibility == DELETED


def test_the_forms_of_a_submission_do_what_the_api_does(hand, references):
    content = make_predictions(references)
    submission_id = hand.published(content)
    cookie = {"cookie": sign_in(hand)}
    key = form_key(cookie["cookie"].split("=", 1)[1])
    page = hand.client.get(f"/mine/{submission_id}", headers=cookie)
    assert re.search('name="model"[^>]*value="Model A"', page.text)
    data = {"key": key, "model": "Better name", "training": "trained"}
    for path, form in (("edit", data), ("final", {"key": key, "sure": "yes"})):
        answer = hand.client.post(f"/mine/{submission_id}/{path}", data=form, headers=cookie, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        refused = hand.client.post(f"/mine/{submission_id}/{path}", data={**form, "key": "0" * 64}, headers=cookie)
        assert refused.status_code == 403
    told = hand.get(submission_id).json()
    assert (told["metadata"]["model"], told["metadata"]["training"], told["final"]) == ("Better name", "trained", True)
    form = {**data, "split": "toy/test", "model": "A third name"}
    repeated = hand.client.post("/submit", data=form, files={"predictions": content}, headers=cookie)
    assert "stays as it was, which differs from what you sent (model)" in repeated.text
    form = {"key": key, "sure": "yes"}
    answer = hand.client.post(f"/mine/{submission_id}/delete", data=form, headers=cookie, follow_redirects=False)
    assert answer.status_code == 303
    assert hand.get(submission_id).status_code == 404
    assert hand.client.get(f"/mine/{submission_id}", headers=cookie).status_code == 404


@pytest.mark.parametrize("path", ["delete", "final"])
def test_what_cannot_be_undone_needs_a_tick(hand, references, path):
    submission_id = hand.published(make_predictions(references))
    cookie = {"cookie": sign_in(hand)}
    key = form_key(cookie["cookie"].split("=", 1)[1])
    answer = hand.client.post(f"/mine/{submission_id}/{path}", data={"key": key}, headers=cookie)
    assert answer.status_code == 422
    assert "tick the box" in answer.text
    told = hand.get(submission_id).json()
    assert (told["visibility"], told["final"]) == ("public", False)


@pytest.mark.parametrize("field", ["visibility", "metadata", "final"])
def test_a_field_without_a_value_is_refused_and_not_ignored(hand, references, field):
    submission_id = hand.published(make_predictions(references))
    address = f"/api/submissions/{submission_id}"
    answer = hand.client.patch(address, json={field: None, "card": {"a": 1}}, headers=hand.headers())
    assert answer.status_code == 422
    assert f"{field} is null; leave out what stays as it is" in answer.json()["error"]
    assert hand.get(submission_id).json()["card"] is None


def test_a_long_history_comes_in_parts_and_none_of_it_is_lost(hand, references, monkeypatch):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    for number in range(4):
        patch(hand, submission_id, metadata={**METADATA, "model": f"Name {number}"})
    for path in (f"/api/submissions/{submission_id}/history", "/api/history?split=toy/open"):
        joint = "&" if "?" in path else "?"
        parts = [hand.client.get(f"{path}{joint}limit=2&offset={offset}") for offset in (0, 2, 4, 6)]
        assert {part.headers["x-total-count"] for part in parts} == {"5"}
        actions = [entry["action"] for part in parts for entry in part.json()]
        assert actions == ["edited"] * 4 + ["published"]
    monkeypatch.setattr("leaderboard.web.edit_pages.MOST", 2)
    address, seen = "/history?split=toy/open", 0
    while address:
        page = hand.client.get(address).text
        assert "; 5 in all" in page
        seen += page.count("<tr><td")
        following = re.search(r'<a href="([^"]+)" rel="next">', page)
        address = following and following[1].replace("&amp;", "&")
    assert seen == 5


def test_a_history_names_rows_that_everyone_may_see(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    one, all_rows = f"/models/{submission_id}/history", "/history?split=toy/open"
    assert "<h1>Changes, Model A</h1>" in hand.client.get(one).text
    assert f'<a href="{one}">Model A</a>' in hand.client.get(all_rows).text
    hand.set(submission_id, "private")
    for path in (one, all_rows):
        page = hand.client.get(path).text
        assert "Model A" not in page
        assert submission_id in page


def test_the_history_opens_with_the_split_that_the_table_opens_with(hand, references):
    hand.published(make_predictions(references))
    assert "<h1>Changes, toy/test</h1>" in hand.client.get("/history").text
    assert '<a href="/?split=toy/open">Table</a>' in hand.client.get("/history?split=toy/open").text
    assert [entry["action"] for entry in hand.client.get("/api/history").json()] == ["published"]
    assert 'href="/history?split=toy/test"' in hand.client.get("/?split=toy/test").text.replace("%2F", "/")
