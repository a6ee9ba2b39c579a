"""Lists of a hidden split: they are made of what is shown, and follow every change of a row."""

import json
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from earthreason.predictions.reader import open_predictions
from leaderboard.backup import restore_backup, write_backup
from leaderboard.changes import last_change
from leaderboard.database import Database
from leaderboard.entries import entry_of
from leaderboard.history import public_changes
from leaderboard.records import ScoreEstimate
from leaderboard.results_repo import read_repository, write_entry
from leaderboard.scoring import score_predictions
from leaderboard.splits import SplitContent, get_split, put_split
from leaderboard.static_site import write_site
from leaderboard.submissions import public_results
from leaderboard.tables import Change, ScoredResult
from leaderboard.versions import count_change
from leaderboard.web.app import create_app
from tests.leaderboard.attacks import as_file, make_regions
from tests.leaderboard.toys import METADATA, make_predictions

GROUP = "target: present"
LISTS = ("/", "/api/board", "/api/board.csv", "/api/board.tex", "/api/board.md")
ORDERS = [
    f"sort={sort}&ascending={ascending}{subset}"
    for sort in ("gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc", "Pr@0.7", "date", "model")
    for ascending in ("false", "true")
    for subset in ("", f"&subset={GROUP}")
]


@pytest.fixture
def two(hand, references):
    """Two public rows of two teams on the hidden split; the first is final."""
    ids = [hand.published(make_predictions(references, seed), team) for seed, team in enumerate(("alpha", "beta"))]
    patch(hand, ids[0], {"final": True})
    return ids


def patch(hand, submission_id, body, team="alpha"):
    answer = hand.client.patch(f"/api/submissions/{submission_id}", json=body, headers=hand.headers(team))
    assert answer.status_code == 200, answer.text


def store_exact(hand, references, tmp_path, ids, shifts):
    """Store complete results, as the first version did, whose scores differ by what rounding takes away."""
    path = tmp_path / "exact.json"
    path.write_bytes(make_predictions(references, 5))
    scoring = score_predictions(
        open_predictions(path), references, config="toy", split="test", hidden=False, resamples=50
    )
    exact = scoring.record.model_dump(mode="json")
    with hand.worker.database.write() as session:
        for submission_id, shift in zip(ids, shifts, strict=True):
            record = json.loads(json.dumps(exact))
            for protocol in record["protocols"].values():
                for cells in protocol["scores"].values():
                    for name, cell in cells.items():
                        cells[name] = ScoreEstimate(0.63 + shift, 0.5 + shift, 0.7 + shift)._asdict()
                        cells[name] = list(cells[name].values()) if cell else cell
            record["curve"] = [0.63 + shift] * 20
            chosen = update(ScoredResult).where(ScoredResult.submission_id == submission_id)
            session.execute(chosen.values(record=record))
            count_change(session, submission_id)
    hand.client.app.state.board.board.changed()


def told(client, ids):
    """Everything that the board tells everyone of the rows: bodies and tags."""
    paths = [f"{path}?split=toy/test&{order}" for path in LISTS for order in ORDERS]
    paths += [f"/models/{one}" for one in ids] + [f"/api/submissions/{one}" for one in ids]
    paths += [
        f"/compare?ids={one}&ids={other}&protocol={p}"
        for p in ("segearth-r1", "native")
        for one, other in (ids, ids[::-1])
    ]
    paths += ["/sitemaps/1.xml", "/feed.xml?split=toy/test", "/progress?split=toy/test"]
    paths += [f"/models/{one}/{name}" for one in ids for name in ("badge.svg", "cite.bib")]
    client.app.state.board.drawing.budgets.rate = 1e9
    answers = {path: client.get(path) for path in paths}
    # To the API, a group that no row shows is a name that does not exist.
    unknown = {path for path in answers if "subset=" in path and path.startswith("/api/")}
    assert {answer.status_code for path, answer in answers.items() if path not in unknown} == {200}
    assert {answers[path].status_code for path in unknown} == {404}
    # The tag of an export names the number of the last change, which counts every storing.
    tags = {path: answer.headers.get("etag") for path, answer in answers.items() if "/api/board." not in path}
    return {path: answer.text for path, answer in answers.items()}, tags


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def site_of(database, folder):
    with database.read() as session:
        for pair in public_results(session, get_split(session, "toy/test")):
            write_entry(folder / "results", replace(entry_of(*pair), published=0.0))
    write_site(read_repository(folder / "results"), folder / "site")
    return files_of(folder / "site")


@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_nothing_changes_when_two_rows_exchange_what_rounding_takes_away(hand, references, two, tmp_path):
    """Neither order, tie, place, tag, comparison, static site nor restored backup may know the better of two rows."""
    surfaces = []
    for turn, shifts in enumerate(((0.0049, -0.0049), (-0.0049, 0.0049))):
        store_exact(hand, references, tmp_path, two, shifts)
        target = tmp_path / f"{turn}.jsonl.gz"
        write_backup(hand.worker.database, target)
        restored = Database(f"sqlite:///{tmp_path / f'restored-{turn}.sqlite3'}")
        restore_backup(restored, target)
        settings = hand.worker.settings
        with TestClient(create_app(settings, restored)) as other:
            surfaces.append((told(hand.client, two), told(other, two), site_of(restored, tmp_path / f"site-{turn}")))
    assert surfaces[0][0] == surfaces[1][0]
    assert surfaces[0][1] == surfaces[1][1]
    assert surfaces[0][2] == surfaces[1][2]
    rows = hand.client.get("/api/board?split=toy/test").json()["rows"]
    assert [row["id"] for row in rows] == two  # by publication
    assert {row["scores"]["gIoU"][0] for row in rows} == {0.63}
    assert "0.634" not in "".join(surfaces[0][0][0].values())


def test_a_group_is_listed_for_final_rows_only(hand):
    """Results keep the groups of a final submission from the start, so that declaring it final needs no scoring."""
    regions = make_regions(categories=4, each=40, side=16)
    with hand.worker.database.write() as session:
        put_split(session, "toy", "regions", SplitContent(regions, None), hidden=True)
    one = hand.published(as_file({}, regions), split="toy/regions")
    other = hand.published(as_file({}, regions) + b" ", "beta", split="toy/regions")

    def groups():
        board = hand.client.get("/api/board", params={"split": "toy/regions", "subset": GROUP})
        page = hand.client.get("/?split=toy/regions")
        return [row["id"] for row in board.json().get("rows", [])], GROUP in page.text, page.headers["etag"]

    before = groups()
    assert before[:2] == ([], False)
    patch(hand, one, {"final": True})
    after = groups()
    assert after[:2] == ([one], True)
    assert after[2] != before[2]
    patch(hand, other, {"final": True}, "beta")
    assert groups()[0] == [one, other]


def test_lists_and_tags_follow_edits_and_deletion(hand, two):
    listed = [f"{path}?split=toy/test" for path in LISTS]
    shown = [*listed, f"/models/{two[0]}", f"/compare?ids={two[0]}&ids={two[1]}"]

    def read():
        answers = {path: hand.client.get(path) for path in shown}
        again = {p: hand.client.get(p, headers={"If-None-Match": a.headers["etag"]}) for p, a in answers.items()}
        assert {answer.status_code for answer in again.values()} == {304}
        return {path: (answer.text, answer.headers["etag"]) for path, answer in answers.items()}

    first = read()
    patch(hand, two[0], {"metadata": {**METADATA, "model": "Renamed Model", "parameters_millions": 7.0}})
    second = read()
    for path in shown:
        assert "Renamed Model" in second[path][0], path
        assert "Renamed Model" not in first[path][0], path
        assert second[path][1] != first[path][1], path
    found = hand.client.get("/api/board?split=toy/test&search=renamed&largest=7").json()
    assert [row["id"] for row in found["rows"]] == [two[0]]

    assert hand.client.delete(f"/api/submissions/{two[0]}", headers=hand.headers()).status_code == 204
    for path in listed:
        assert "Renamed Model" not in hand.client.get(path, headers={"If-None-Match": second[path][1]}).text, path
    for path in shown[len(listed) :]:
        assert hand.client.get(path, headers={"If-None-Match": second[path][1]}).status_code == 404, path
    assert two[0] not in hand.client.get("/sitemaps/1.xml").text
    assert hand.client.get("/api/board?split=toy/test").json()["total"] == 1
    actions = [entry["action"] for entry in hand.client.get("/api/history?split=toy/test").json()]
    assert actions[:2] == ["deleted", "edited"]


def test_a_private_row_is_changed_without_drawing_a_page_again(hand, references, two):
    private = hand.submit(make_predictions(references, 8))
    hand.score()
    with hand.worker.database.read() as session:
        before, version = session.scalar(select(Change.id).order_by(Change.id.desc()).limit(1)), last_change(session)
    page = hand.client.get("/?split=toy/test").headers["etag"]
    patch(hand, private, {"metadata": {**METADATA, "model": "Secret"}})
    assert hand.client.delete(f"/api/submissions/{private}", headers=hand.headers()).status_code == 204
    assert hand.client.get("/?split=toy/test").headers["etag"] == page
    with hand.worker.database.read() as session:
        assert last_change(session) == version
        noted = session.scalars(select(Change).where(Change.id > before).order_by(Change.id)).all()
        assert [(change.action, change.public) for change in noted] == [("edited", False), ("deleted", False)]


def test_editing_and_deleting_without_end_is_refused_like_publishing(hand, two, monkeypatch):
    async def at_once(seconds):
        return None

    monkeypatch.setattr("leaderboard.web.state.anyio.sleep", at_once)
    budgets = hand.client.app.state.board.row_changes
    budgets.rate = 1e-6
    budgets._left.clear()
    path, headers = f"/api/submissions/{two[0]}", hand.headers()
    bodies = [{"metadata": {**METADATA, "model": f"M {n % 2}"}} for n in range(31)]
    assert [hand.client.patch(path, json=body, headers=headers).status_code for body in bodies] == [200] * 30 + [429]
    assert hand.client.delete(path, headers=headers).status_code == 429
    assert hand.set(two[1], "private", "beta").status_code == 200  # another team's share


def test_a_backup_keeps_the_history(hand, two, tmp_path):
    patch(hand, two[0], {"metadata": {**METADATA, "model": "Other"}})
    write_backup(hand.worker.database, tmp_path / "b.jsonl.gz")
    restored = Database(f"sqlite:///{tmp_path / 'restored.sqlite3'}")
    restore_backup(restored, tmp_path / "b.jsonl.gz")
    seen = []
    for database in (hand.worker.database, restored):
        with database.read() as session:
            entries, _ = public_changes(session, get_split(session, "toy/test"))
            seen.append([(entry.action, entry.author, entry.details) for entry in entries])
    assert seen[0] == seen[1]
    assert [action for action, *_ in seen[0]] == ["edited", "made final", "published", "published"]


def test_a_table_sorted_by_a_score_that_no_row_has_stands_in_order_of_publication(hand, two):
    for path in ("/", "/api/board", "/api/board.csv"):
        answer = hand.client.get(f"{path}?split=toy/test&sort=Pr@0.7")
        assert answer.status_code == 200, path
        assert answer.text.index(two[0]) < answer.text.index(two[1]), path
