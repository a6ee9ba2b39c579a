import hashlib
import json
import time

import pytest

from earthreason.metrics.evaluate import evaluate
from leaderboard.splits import SplitContent, put_split
from leaderboard.submissions import UPLOAD_WAIT, receive
from leaderboard.tables import ScoredResult, Submission
from tests.leaderboard.toys import METADATA, make_predictions, make_references


def scores_of(answer, protocol="segearth-r1"):
    return answer.json()["result"]["protocols"][protocol]["scores"]["all"]


def test_a_submission_is_scored_with_the_same_numbers_as_earthreason_eval(hand, references, tmp_path):
    content = make_predictions(references)
    submission_id = hand.submit(content, split="toy/open")
    assert hand.score() == 1
    (tmp_path / "preds.json").write_bytes(content)
    for protocol in ("segearth-r1", "native", "geo-r1"):
        expected = evaluate(tmp_path / "preds.json", references, protocol, resamples=200)
        told = scores_of(hand.get(submission_id), protocol)
        for name, value in expected.scores.items():
            assert told[name][0] == value, name
        assert told["gIoU"][1:] == [expected.intervals["gIoU"].low, expected.intervals["gIoU"].high]


def test_the_same_file_is_the_same_submission_and_is_scored_once(hand, references, database):
    content = make_predictions(references)
    first = hand.submit(content)
    assert hand.score() == 1
    second = hand.announce(content, metadata={**METADATA, "model": "Another name"})
    assert second.status_code == 200
    assert second.json()["id"] == first
    assert second.json()["upload"] is None
    assert hand.submit(content) == first
    assert hand.score() == 0
    with database.read() as session:
        assert session.query(ScoredResult).count() == 1


def test_two_teams_with_one_file_have_two_submissions(hand, references):
    content = make_predictions(references)
    assert hand.submit(content, "alpha") != hand.submit(content, "beta")
    assert hand.score() == 2


def test_a_file_that_is_not_the_announced_one_is_refused(hand, references):
    announced = hand.announce(make_predictions(references)).json()
    other = make_predictions(references, seed=1)
    answer = hand.client.put(f"/api/submissions/{announced['id']}/predictions", content=other, headers=hand.headers())
    assert answer.status_code == 409
    assert "was announced" in answer.json()["error"]
    assert hand.get(announced["id"]).json()["state"] == "uploading"


def test_it_is_private_until_published_and_gone_when_withdrawn(hand, references):
    submission_id = hand.submit(make_predictions(references))
    assert hand.set(submission_id, "public").status_code == 409  # not scored yet
    hand.score()
    assert hand.get(submission_id, team=None).status_code == 404
    assert hand.get(submission_id, team="beta").status_code == 404
    assert hand.client.get("/api/board?split=toy/test").json()["rows"] == []
    assert hand.set(submission_id, "public").status_code == 200
    assert [row["id"] for row in hand.client.get("/api/board?split=toy/test").json()["rows"]] == [submission_id]
    assert hand.get(submission_id, team=None).status_code == 200
    assert hand.set(submission_id, "withdrawn").status_code == 200
    assert hand.client.get("/api/board?split=toy/test").json()["rows"] == []
    assert hand.get(submission_id, team=None).status_code == 404
    assert hand.set(submission_id, "public").status_code == 409


def test_a_withdrawn_file_comes_back_when_submitted_again(hand, references):
    content = make_predictions(references)
    submission_id = hand.published(content)
    hand.set(submission_id, "withdrawn")
    again = hand.announce(content, metadata={**METADATA, "model": "Better name"}).json()
    assert (again["id"], again["visibility"], again["state"]) == (submission_id, "private", "scored")
    assert again["metadata"]["model"] == "Better name"


def test_only_the_owner_or_an_administrator_changes_a_submission(hand, references):
    submission_id = hand.published(make_predictions(references))
    assert hand.set(submission_id, "private", team="beta").status_code == 404
    assert hand.set(submission_id, "private", team="admin").status_code == 200


def test_limits_are_per_team_split_and_day(hand, references, settings):
    for seed in range(settings.daily_limit):
        hand.submit(make_predictions(references, seed))
    refused = hand.announce(make_predictions(references, 99))
    assert refused.status_code == 429
    assert "your team has used its" in refused.json()["error"]
    assert hand.announce(make_predictions(references, 0)).status_code == 200  # known already
    assert hand.announce(make_predictions(references, 99), team="beta").status_code == 201
    assert hand.announce(make_predictions(references, 99), split="toy/open").status_code == 201


def test_a_failed_file_does_not_use_up_the_day(hand, references, settings):
    for seed in range(settings.daily_limit + 2):
        hand.submit(json.dumps([{"sample_id": "x", "segmentation": None, "n": seed}]).encode())
        hand.score()
    assert hand.announce(make_predictions(references)).status_code == 201


def test_a_broken_file_fails_with_its_faults_and_no_path_of_the_server(hand):
    submission_id = hand.submit(b'[{"sample_id": "toy_001", "segmentation": {"size": [3, 3], "counts": "9"}}]')
    hand.score()
    told = hand.get(submission_id).json()
    assert told["state"] == "failed"
    assert "mask is 3x3" in told["error"]
    assert told["error"].startswith("predictions: ")
    assert "/tmp" not in told["error"]


def test_lines_of_json_and_zips_are_scored_alike(hand, references):
    records = json.loads(make_predictions(references))["predictions"]
    plain = hand.submit(json.dumps(records).encode(), split="toy/open")
    lines = hand.submit("\n".join(json.dumps(record) for record in records).encode(), split="toy/open")
    hand.score()
    assert scores_of(hand.get(plain)) == scores_of(hand.get(lines))


def test_a_corrected_truth_scores_everything_again_and_keeps_the_old_result(hand, database, references):
    submission_id = hand.published(make_predictions(references))
    before = scores_of(hand.get(submission_id))["gIoU"]
    changed = make_references()
    first = changed["toy_001"]
    empty = {"size": first.segmentation["size"], "counts": changed["toy_000"].segmentation["counts"]}
    changed._by_id["toy_001"] = type(first)("toy_001", empty)
    with database.write() as session:
        assert put_split(session, "toy", "test", SplitContent(changed, None), hidden=True)[1] == 1
    assert hand.client.get("/api/board?split=toy/test").json()["rows"] == []
    assert hand.score() == 1
    assert scores_of(hand.get(submission_id))["gIoU"] != before
    time.sleep(0.3)  # a page may be a quarter of a second old
    assert len(hand.client.get("/api/board?split=toy/test").json()["rows"]) == 1
    with database.read() as session:
        assert session.query(ScoredResult).count() == 2


def test_hidden_splits_tell_no_samples_no_groups_and_whole_per_cent(hand, references):
    submission_id = hand.published(make_predictions(references))
    told = hand.get(submission_id, team=None).json()["result"]
    assert {subset["key"] for subset in told["subsets"]} == {"all"}
    figures = {name: set(scores["scores"]["all"]) for name, scores in told["protocols"].items()}
    assert figures == {"segearth-r1": {"gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc"}, "native": {"gIoU", "cIoU"}}
    for scores in told["protocols"].values():
        for cells in scores["scores"].values():
            assert all(n is None or n == round(n, 2) for cell in cells.values() for n in cell)
    answer = hand.client.get(f"/api/submissions/{submission_id}/samples.csv", headers=hand.headers())
    assert answer.status_code == 403
    assert hand.client.get(f"/pictures/{submission_id}/0-truth.jpg").status_code == 404


def test_open_splits_have_tables_groups_and_pictures(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    table = hand.client.get(f"/api/submissions/{submission_id}/samples.csv")
    assert len(table.text.splitlines()) == len(references) + 1
    told = hand.get(submission_id, team=None).json()["result"]
    assert "category: class 1" in {subset["key"] for subset in told["subsets"]}
    picture = hand.client.get(f"/pictures/{submission_id}/0-prediction.jpg")
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content[:2] == b"\xff\xd8"


def test_a_private_row_keeps_its_pictures_to_itself(hand, references):
    submission_id = hand.submit(make_predictions(references), split="toy/open")
    hand.score()
    assert hand.client.get(f"/pictures/{submission_id}/0-truth.jpg").status_code == 404
    assert hand.client.get(f"/api/submissions/{submission_id}/samples.csv").status_code == 404


def test_contact_stays_with_the_organisers(hand, references):
    metadata = {**METADATA, "contact": "someone@example.org"}
    submission_id = hand.published(make_predictions(references), metadata=metadata)
    assert hand.get(submission_id).json()["metadata"]["contact"] == "someone@example.org"
    for path in (
        f"/api/submissions/{submission_id}",
        "/api/board?split=toy/test",
        "/api/board.csv?split=toy/test",
        f"/models/{submission_id}",
    ):
        assert "someone@example.org" not in hand.client.get(path).text


def test_flags_are_of_administrators_and_are_shown(hand, references):
    submission_id = hand.published(make_predictions(references))
    path = f"/api/submissions/{submission_id}/flag"
    assert hand.client.put(path, json={"reason": "trained on test"}, headers=hand.headers()).status_code == 403
    assert hand.client.put(path, json={"reason": "trained on test"}, headers=hand.headers("admin")).status_code == 200
    assert hand.client.get("/api/board?split=toy/test").json()["rows"][0]["flag"] == "trained on test"
    assert "trained on test" in hand.client.get(f"/models/{submission_id}").text


def test_a_closed_split_takes_nothing(hand, references, database):
    from leaderboard.splits import close_split

    with database.write() as session:
        close_split(session, "toy/test", closed=True)
    assert hand.announce(make_predictions(references)).status_code == 403


def upload(hand, announced, content):
    return hand.client.put(f"/api/submissions/{announced['id']}/predictions", content=content, headers=hand.headers())


def test_a_split_that_closes_takes_no_file_that_was_announced_before(hand, references, database):
    from leaderboard.splits import close_split

    taken, late = make_predictions(references), make_predictions(references, 1)
    first = hand.submit(taken)
    announced = hand.announce(late).json()
    with database.write() as session:
        close_split(session, "toy/test", closed=True)
    refused = upload(hand, announced, late)
    assert refused.status_code == 403
    assert "is closed to submissions" in refused.json()["error"]
    assert hand.announce(late).status_code == 403
    assert hand.submit(taken) == first  # the same file again is no new submission
    assert hand.score() == 1


def test_a_file_comes_within_the_hour_or_is_announced_again(hand, references, database):
    content = make_predictions(references)
    announced = hand.announce(content).json()
    with database.write() as session:
        session.get(Submission, announced["id"]).created -= UPLOAD_WAIT + 1
    refused = upload(hand, announced, content)
    assert refused.status_code == 409
    assert "announce it again" in refused.json()["error"]
    assert hand.get(announced["id"]).json()["state"] == "uploading"
    again = hand.announce(content)
    assert again.status_code == 201
    assert upload(hand, again.json(), content).json()["state"] == "queued"


def test_an_upload_that_takes_over_an_hour_is_taken_when_it_began_in_time(hand, references, database):
    content = make_predictions(references)
    announced = hand.announce(content).json()
    with database.write() as session:
        submission = session.get(Submission, announced["id"])
        submission.created -= 2 * UPLOAD_WAIT
        began = submission.created + 60
        receive(session, submission, content, submission.sha256, began)
    assert hand.get(announced["id"]).json()["state"] == "queued"


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"model": "", "training": "trained"}, "model"),
        ({"model": "m", "training": "sometimes"}, "training"),
        ({"model": "m", "training": "trained", "paper": "javascript:alert(1)"}, "paper"),
        ({"model": "m\u202egnp", "training": "trained"}, "model"),
        ({"model": "m", "training": "trained", "parameters_millions": float("1e12")}, "parameters"),
        ({"model": "m", "training": "trained", "parameters_millions": 1e-300}, "parameters"),  # spoils a plot by size
        ({"model": "m", "training": "trained", "rank": 1}, "rank"),
    ],
)
def test_metadata_is_checked_before_anything_is_uploaded(hand, references, metadata, said):
    answer = hand.announce(make_predictions(references), metadata=metadata)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_what_the_server_keeps_is_the_file_itself(hand, references, database):
    from leaderboard.tables import Upload

    content = make_predictions(references)
    hand.submit(content)
    with database.read() as session:
        kept = session.get(Upload, hashlib.sha256(content).hexdigest())
        assert kept.content == content


def test_a_file_that_was_only_announced_is_not_called_submitted(hand, references):
    content = make_predictions(references)
    assert hand.announce(content).json()["notice"] is None
    assert (
        hand.announce(content).json()["notice"].startswith("this file was announced before, and has yet to be uploaded")
    )
