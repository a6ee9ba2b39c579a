import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="the annotation extra is not installed")

from annotation_tools.review import store as store_module
from annotation_tools.review.build import open_review
from annotation_tools.review.database import ConflictError
from annotation_tools.review.model import Plan, ReviewJudgement, ReviewSample
from annotation_tools.review.schema import build_store
from annotation_tools.review.store import GAP, ReviewStore
from annotation_tools.review.verdicts import settle_reviews, write_verdicts
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.reviews import read_review
from earthreason.questions.types import Generated

from ..conftest import free_port

ROOT = Path(__file__).resolve().parents[3]


def sample(number, questions=3, **facts):
    texts = [f"Where would one do thing {number}-{q}?" for q in range(questions)]
    return ReviewSample(
        f"s{number:03d}", "test", "p.jpg", "m.png", 8, 8, False, texts, ["There."], "pond", 0.5, **facts
    )


ALONE = Plan(overlap=0, second_pass=0)


def make(folder, count=4, plan=ALONE, questions=3):
    folder.mkdir(exist_ok=True)
    build_store(
        folder / "review.sqlite", [sample(n, questions) for n in range(count)], plan, {"source": "x", "run": False}
    )
    return ReviewStore(folder / "review.sqlite")


def verdict(store, reviewer, place, kind="accept", revision=0, **more):
    if kind in ("reject", "unsure"):
        more.setdefault("reasons", ["leak"])
    found = store.item(reviewer, place)
    more = {"item": found.item if found else 1, "key": str(uuid.uuid4()), "review": store.review} | more
    return ReviewJudgement(reviewer=reviewer, place=place, verdict=kind, revision=revision, **more)


def judge_all(store, reviewer, kind="accept"):
    seen = []
    while (item := store.item(reviewer)) is not None:
        store.judge(verdict(store, reviewer, item.place, kind))
        seen.append(item)
    return seen


def test_one_reviewer_is_asked_everything_once_in_order(tmp_path):
    store = make(tmp_path)
    asked = judge_all(store, "anna")
    assert [item.place for item in asked] == list(range(12))
    assert len({item.item for item in asked}) == 12
    last = store.item("anna", 11).verdict["revision"]
    assert store.progress("anna") == {"questions": 12, "judged": 12, "mine": 12, "queued": 12, "last": last}


def test_two_reviewers_share_the_images_without_overlap(tmp_path):
    store = make(tmp_path, count=6)
    asked = {"anna": [], "ben": []}
    for turn in range(18):
        name = ("anna", "ben")[turn % 2]
        item = store.item(name)
        store.judge(verdict(store, name, item.place))
        asked[name].append(item.sample)
    assert set(asked["anna"]).isdisjoint(asked["ben"])
    assert store.item("anna") is None
    assert store.item("ben") is None


def test_overlap_images_go_to_as_many_people_as_planned(tmp_path):
    store = make(tmp_path, count=5, plan=Plan(overlap=1, per_image=2, second_pass=0))
    assert [len(judge_all(store, name)) for name in ("anna", "ben", "cleo")] == [15, 15, 0]


def test_images_are_given_out_in_the_order_of_the_source(tmp_path):
    store = make(tmp_path, count=4, questions=1)
    given = [store.item(name).sample for name in ("anna", "ben", "cleo")]
    assert given == [1, 2, 3]
    store.judge(verdict(store, "anna", 0))
    assert store.item("anna").sample == 4


def test_an_image_left_unfinished_is_offered_again_when_its_lease_is_over(tmp_path, monkeypatch):
    store = make(tmp_path, count=2, questions=2)
    clock = [1000.0]
    monkeypatch.setattr(store_module.time, "time", lambda: clock[0])
    assert store.item("anna").sample == 1
    store.judge(verdict(store, "anna", 0))
    assert [store.item("ben").sample] == [2]
    assert [store.judge(verdict(store, "ben", place)).place for place in (0, 1)] == [0, 1]
    clock[0] += store_module.LEASE  # a lease that ends now still holds
    assert store.item("ben") is None
    clock[0] += 1
    assert store.item("ben").sample == 1
    assert store.item("cleo") is None, "it is offered once, not to everybody"
    store.judge(verdict(store, "anna", 1))
    assert store.progress("anna")["mine"] == 2


def test_an_image_that_was_finished_is_not_offered_again(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "LEASE", -1.0)
    store = make(tmp_path, count=1, questions=2)
    judge_all(store, "anna")
    assert store.item("ben") is None


def test_what_is_looked_ahead_at_is_what_comes(tmp_path):
    store = make(tmp_path, count=GAP + 10, plan=Plan(overlap=0.5, second_pass=0.3), questions=2)
    guesses, taken = [], []
    while (item := store.item("anna")) is not None:
        if item.number == 0:
            guess = store.ahead("anna", item.place + 2)
            guesses.append(guess and guess["sample"])
            taken.append(item.sample)
        store.judge(verdict(store, "anna", item.place))
    hits = [guess == came for guess, came in zip(guesses, taken[1:], strict=False)]
    assert taken != sorted(taken)
    assert all(hits[: GAP + 8])


def test_the_second_look_shows_no_earlier_verdict(tmp_path):
    store = make(tmp_path, count=GAP + 10, plan=Plan(overlap=0, second_pass=0.2), questions=1)
    asked = judge_all(store, "anna")
    again = [item for item in asked if item.round == 2]
    assert len(again) == round(0.2 * (GAP + 10))
    assert all(item.verdict is None for item in again)
    first = {item.sample: item.place for item in asked if item.round == 1}
    assert all(item.place - first[item.sample] >= GAP for item in again[:1])
    assert len(asked) == GAP + 10 + len(again)


def test_a_second_look_comes_after_a_full_gap(tmp_path):
    store = make(tmp_path, count=GAP + 5, plan=Plan(overlap=0, second_pass=1), questions=1)
    asked = judge_all(store, "anna")
    # GAP images lie between: the first image is looked at again after it and GAP more, at place GAP + 1.
    assert [item.round for item in asked[: GAP + 2]] == [1] * (GAP + 1) + [2]
    assert asked[GAP + 1].sample == asked[0].sample == 1


def test_a_review_goes_on_where_it_was_left(tmp_path):
    store = make(tmp_path)
    for place in range(5):
        store.item("anna")
        store.judge(verdict(store, "anna", place))
    store.close()
    assert ReviewStore(tmp_path / "review.sqlite").item("anna").place == 5


def test_undo_brings_back_what_was_before(tmp_path):
    store = make(tmp_path)
    store.item("anna")
    revision = store.judge(verdict(store, "anna", 0, "accept")).verdict["revision"]
    store.judge(verdict(store, "anna", 0, "reject", revision))
    assert store.undo("anna", store.progress("anna")["last"]) == 0
    assert store.item("anna", 0).verdict["verdict"] == "accept"
    assert store.progress("anna")["last"] == revision
    assert store.undo("anna", revision) == 0
    assert store.item("anna", 0).verdict is None
    assert store.progress("anna")["last"] is None
    kinds = [kind for (kind,) in store.rows("SELECT kind FROM events ORDER BY event")]
    assert kinds == ["verdict", "verdict", "undo", "undo"]


def test_only_the_verdict_that_is_meant_is_taken_back(tmp_path):
    store = make(tmp_path)
    first = store.judge(verdict(store, "anna", 0)).verdict["revision"]
    other = store.judge(verdict(store, "ben", 0)).verdict["revision"]
    last = store.judge(verdict(store, "anna", 1)).verdict["revision"]
    for event in (first, other, 99):
        with pytest.raises(ConflictError, match="your last verdict has changed in another window"):
            store.undo("anna", event)
    assert store.undo("anna", last) == 1
    with pytest.raises(ConflictError, match="nothing was undone"):
        store.undo("anna", last)
    assert [v["reviewer"] for v in store.verdicts()] == ["anna", "ben"]


def test_the_same_person_in_two_windows_overwrites_nothing(tmp_path):
    store = make(tmp_path)
    store.item("anna")
    store.judge(verdict(store, "anna", 0, "reject"))
    with pytest.raises(ConflictError, match=r"another window \(reject at .*was not saved"):
        store.judge(verdict(store, "anna", 0, "accept", revision=0))
    assert store.item("anna", 0).verdict["verdict"] == "reject"


def test_two_reviewers_on_one_item_are_both_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "LEASE", -1.0)  # what anna took is offered again at once
    store = make(tmp_path, count=1, questions=1)
    assert store.item("anna").item == store.item("ben").item
    store.judge(verdict(store, "anna", 0, "accept"))
    store.judge(verdict(store, "ben", 0, "reject"))
    assert [(v["reviewer"], v["verdict"]) for v in store.verdicts()] == [("anna", "accept"), ("ben", "reject")]
    assert settle_reviews(store)["test", "s000"].outcome == "disputed"


def test_an_edit_that_another_person_accepts_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "LEASE", -1.0)
    store = make(tmp_path, count=1, questions=2)
    assert store.item("anna").item == store.item("ben").item
    store.judge(verdict(store, "anna", 0, "edit", text="Where would one moor?"))
    store.judge(verdict(store, "ben", 0, "accept"))
    assert settle_reviews(store)["test", "s000"].texts == ["Where would one moor?", "Where would one do thing 0-1?"]


def test_samples_are_settled_by_first_looks_only(tmp_path):
    store = make(tmp_path, count=1, plan=Plan(overlap=0, second_pass=1), questions=1)
    store.judge(verdict(store, "anna", 0, "reject"))
    assert store.item("anna", 1).round == 2
    store.judge(verdict(store, "anna", 1, "accept"))
    assert settle_reviews(store)["test", "s000"].outcome == "rejected"


def test_sending_the_same_verdict_again_counts_once(tmp_path):
    store = make(tmp_path)
    store.item("anna")
    one = verdict(store, "anna", 0)
    store.judge(one)
    store.judge(one)
    assert store.rows("SELECT COUNT(*) FROM events") == [(1,)]


def test_a_place_nobody_was_asked_at_is_refused(tmp_path):
    store = make(tmp_path)
    with pytest.raises(EarthReasonError, match="the queue of 'anna' has no place 7"):
        store.judge(verdict(store, "anna", 7))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"verdict": "maybe"}, "known: accept, edit"),
        ({"verdict": "reject"}, "needs a reason"),
        ({"verdict": "edit", "text": " "}, "needs the new text"),
        ({"verdict": "reject", "reasons": ["ugly"]}, "reason 'ugly'"),
    ],
)
def test_half_verdicts_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ReviewJudgement(review="r", reviewer="a", item=1, place=0, revision=0, key="12345678", **fields)


def test_samples_of_two_splits_with_one_id_are_reviewed_and_settled_apart(tmp_path):
    twins = [
        replace(sample(1, questions=1), split=split, questions=[f"Where in {split}?"]) for split in ("train", "test")
    ]
    build_store(tmp_path / "review.sqlite", twins, ALONE, {"source": "x", "run": True})
    store = ReviewStore(tmp_path / "review.sqlite")
    for place, kind in enumerate(("accept", "reject")):
        assert store.item("anna").place == place
        store.judge(verdict(store, "anna", place, kind))
    said = {(entry["split"], entry["question"]): entry["verdict"] for entry in store.verdicts()}
    settled = {split: sample.outcome for (split, _), sample in settle_reviews(store).items()}
    assert sorted(settled.values()) == ["kept", "rejected"]
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for split in ("train", "test"):
        ledger.finish(split, Generated("s001", "done", [f"Where in {split}?", "Where else?"]))
    write_verdicts(store, tmp_path / "verdicts.jsonl")
    assert read_review(ledger, tmp_path / "verdicts.jsonl") == ({"accept": 1, "reject": 1}, 0)
    assert {(review.split, review.question): review.verdict for review in ledger.reviews()} == said


def test_a_sample_that_stands_twice_is_an_error(tmp_path):
    with pytest.raises(DataFormatError, match="'s001' occurs twice"):
        build_store(tmp_path / "r.sqlite", [sample(1), sample(1)], Plan(), {})


def test_a_file_that_is_no_review_is_named(tmp_path):
    (tmp_path / "review.sqlite").write_text("something else, much longer than a header of SQLite would ever be" * 4)
    with pytest.raises(DataFormatError, match="not the database of a review"):
        ReviewStore(tmp_path / "review.sqlite")


def test_a_review_of_something_else_is_not_opened(tmp_path, release):
    open_review(str(release), tmp_path / "review", Plan()).close()
    with pytest.raises(EarthReasonError, match="contains the review of"):
        open_review("sample", tmp_path / "review", Plan())


def test_a_source_that_changed_since_is_told(tmp_path, release):
    open_review(str(release), tmp_path / "review", ALONE).close()
    open_review(str(release), tmp_path / "review", ALONE).close()
    (release / "train" / "QAs" / "a.json").write_text('{"questions": ["Where else entirely?"], "answer": ["There."]}')
    with pytest.raises(EarthReasonError, match="has changed since the review in .* --stale-ok"):
        open_review(str(release), tmp_path / "review", ALONE)
    open_review(str(release), tmp_path / "review", ALONE, stale_ok=True).close()


def test_a_failed_write_is_no_verdict_and_the_next_one_works(tmp_path):
    store = make(tmp_path)
    store.item("anna")
    store.rows("CREATE TRIGGER full BEFORE INSERT ON verdicts BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        store.judge(verdict(store, "anna", 0))
    store.rows("DROP TRIGGER full")
    assert store.item("anna", 0).verdict is None
    assert store.judge(verdict(store, "anna", 0)).verdict["verdict"] == "accept"


def test_kill_9_loses_no_verdict_that_was_shown_as_saved(tmp_path, release):
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "annotation_tools",
        "review",
        str(release),
        "--out",
        str(tmp_path / "review"),
        "--port",
        str(port),
        "--overlap",
        "1",
        "--per-image",
        "200",
    ]
    saved = []
    for round_ in range(2):
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
        )
        try:
            wait_until_up(port)
            threads = [
                threading.Thread(target=post_until_it_dies, args=(port, f"{round_}-{n}", saved)) for n in range(3)
            ]
            for thread in threads:
                thread.start()
            time.sleep(0.7)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
        for thread in threads:
            thread.join(30)
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    kept = {key for (key,) in store.rows("SELECT key FROM events")}
    assert len(saved) > 20
    assert set(saved) <= kept


def wait_until_up(port):
    for _ in range(300):
        try:
            httpx.get(f"http://127.0.0.1:{port}/")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up")


def post_until_it_dies(port, name, saved):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        review = re.search(r'data-review="(\w+)"', client.get("/review?reviewer=x").text)[1]
        for number in range(10_000):
            reviewer = f"{name}-{number}"
            try:
                for _ in range(12):
                    item = client.get("/api/place", params={"review": review, "reviewer": reviewer}).json()["item"]
                    if item is None:
                        break
                    body = {
                        "review": review,
                        "reviewer": reviewer,
                        "item": item["item"],
                        "place": item["place"],
                        "verdict": "accept",
                        "revision": 0,
                        "key": str(uuid.uuid4()),
                    }
                    if client.post("/api/verdict", json=body).status_code == 200:
                        saved.append(body["key"])
            except httpx.TransportError:
                return
