"""What stays with its team, and what stays with the organisers: private rows and the labels of hidden splits."""

import hashlib
import json
import re

import pytest

from leaderboard.splits import get_split
from leaderboard.submissions import public_results
from leaderboard.tables import Submission
from leaderboard.versions import count_change
from tests.leaderboard.test_scoring import with_pixels_turned
from tests.leaderboard.toys import LARGE_INSIDE, LARGE_OUTSIDE, METADATA, SIDE, make_large_squares, make_predictions


def test_private_rows_answer_as_rows_that_are_not_there(hand, references):
    hidden = hand.submit(make_predictions(references), split="toy/open")
    hand.score()
    nobody = "A" * 22
    shown = hand.published(make_predictions(references, 1), split="toy/open")
    assert len(hidden) == 22
    for path in (
        "/api/submissions/{}",
        "/models/{}",
        "/pictures/{}/0-truth.jpg",
        "/api/submissions/{}/samples.csv",
        f"/compare?ids={{}}&ids={shown}",
        f"/compare?ids={shown}&ids={{}}",
    ):
        for headers in ({}, hand.headers("beta")):
            there = hand.client.get(path.format(hidden), headers=headers)
            absent = hand.client.get(path.format(nobody), headers=headers)
            assert (there.status_code, there.text) == (absent.status_code, absent.text)
            assert there.status_code == 404
    upload = hand.client.put(f"/api/submissions/{hidden}/predictions", content=b"x", headers=hand.headers("beta"))
    assert upload.status_code == 404
    hand.set(hidden, "public")
    assert hand.client.get(f"/compare?ids={shown}&ids={hidden}").status_code == 200  # it was that, and nothing else


@pytest.mark.parametrize("state", ["uploading", "queued", "running", "failed"])
def test_a_public_row_is_on_the_board_only_while_it_is_scored(hand, references, database, state):
    """Its result of the current generation is still stored, so that nothing but the state keeps it off the board."""
    kept, changed = (hand.published(make_predictions(references, seed), split="toy/open") for seed in (0, 1))
    with database.write() as session:
        session.get(Submission, changed).state = state
        count_change(session)
    with database.read() as session:
        assert [row.id for row, _ in public_results(session, get_split(session, "toy/open"))] == [kept]
    assert [row["id"] for row in hand.client.get("/api/board?split=toy/open").json()["rows"]] == [kept]
    assert changed not in hand.client.get("/?split=toy/open").text
    assert changed not in hand.client.get("/api/board.csv?split=toy/open").text
    for path in (f"/api/submissions/{changed}", f"/models/{changed}", f"/compare?ids={kept}&ids={changed}"):
        assert hand.client.get(path).status_code == 404
    assert hand.get(changed).json()["state"] == state  # its team still sees it


def test_what_another_team_has_uploaded_cannot_be_told_from_an_announcement(hand, references):
    content = make_predictions(references)
    hand.submit(content, "alpha")
    answer = hand.announce(content, "beta")
    assert answer.status_code == 201
    assert answer.json()["upload"] is not None


def test_no_error_message_tells_a_label(hand, references):
    """Two truths that differ only in their labels give the same messages to every broken file."""
    from leaderboard.splits import SplitContent, put_split

    records = json.loads(make_predictions(references))["predictions"]
    broken = [
        records[:-3],
        [*records, records[0]],
        [{**records[0], "segmentation": {"size": [SIDE, SIDE], "counts": "!!"}}, *records[1:]],
        [{**records[0], "sample_id": "toy_999"}, *records[1:]],
        [{**records[0], "question_index": 7}, *records[1:]],
    ]

    def messages(team):
        return [failure_of(hand, json.dumps(content).encode(), team) for content in broken]

    first = messages("alpha")
    flipped = type(references)(
        (type(r)(r.sample_id, references["toy_001"].segmentation, r.question_count) for r in references.values()), "toy"
    )
    with hand.worker.database.write() as session:
        put_split(session, "toy", "test", SplitContent(flipped, None), hidden=True)
    assert messages("beta") == first
    assert all("counts" not in message or "!!" not in message for message in first)


def failure_of(hand, content, team):
    submission_id = hand.submit(content, team)
    hand.score()
    return hand.get(submission_id, team).json()["error"]


def test_labels_are_in_no_answer_of_a_hidden_split(hand, references):
    submission_id = hand.published(make_predictions(references))
    labels = {
        r.segmentation["counts"] for r in references.values() if not r.is_empty and len(r.segmentation["counts"]) > 8
    }
    assert labels
    for path in (
        "/api/splits",
        "/api/splits/toy/test/samples",
        f"/api/submissions/{submission_id}",
        "/api/board?split=toy/test",
        f"/models/{submission_id}",
        "/metrics",
        "/health",
    ):
        answer = hand.client.get(path)
        assert answer.status_code == 200
        assert not any(label in answer.text for label in labels)
    samples = hand.client.get("/api/splits/toy/test/samples").json()
    assert samples[0].keys() == {"sample_id", "height", "width", "question_count"}


def test_on_a_hidden_split_one_pixel_changes_nothing_public_but_the_hash(hand):
    """The truth of a pixel must not be read off a comparison of two files that differ in it."""
    from leaderboard.splits import SplitContent, put_split

    references, content = make_large_squares()
    with hand.worker.database.write() as session:
        put_split(session, "toy", "large", SplitContent(references, None), hidden=True)
    places = (LARGE_INSIDE, LARGE_OUTSIDE)
    files = [content, *(with_pixels_turned(content, ["large_007"], *place) for place in places)]
    base, *others = (
        # Names that differ, as the page of a row lists the other results of its model, in their order.
        hand.published(file, split="toy/large", metadata={**METADATA, "model": f"Model {number}"})
        for number, file in enumerate(files)
    )
    told = []
    for number, (other, file) in enumerate(zip(others, files[1:], strict=True), start=1):
        paths = [f"/api/submissions/{other}", f"/models/{other}"]
        paths += [f"/compare?ids={base}&ids={other}&protocol={protocol}" for protocol in ("native", "segearth-r1")]
        texts = [hand.client.get(path).text for path in paths]
        assert "Differences and tests" in texts[2]
        rows = hand.client.get("/api/board?split=toy/large").json()["rows"]
        texts.append(str(next(row["scores"] for row in rows if row["id"] == other)))
        same = (
            "\n".join(texts)
            .replace(f"Model {number}", "NAME")
            .replace(other, "ID")
            .replace(hashlib.sha256(file).hexdigest(), "SHA")
        )
        told.append(re.sub(r'"created":[\d.]+', "", same))
    assert told[0] == told[1]
