"""Annotate, adjudicate, review, verify, load: with a real Label Studio, through its REST API."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.cli import app
from annotation_tools.drawing import draw
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.collect import collect_drawings
from annotation_tools.labelstudio.project import Wishes, push_project
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan, ReviewJudgement
from annotation_tools.workspace import Workspace
from earthreason import load_dataset
from earthreason.data.audit.verify import audit
from earthreason.data.reader import open_source, read_all
from earthreason.synthetic.release import write_release

from .conftest import annotate, join

pytestmark = pytest.mark.labelstudio


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def shifted(mask):
    return np.roll(mask, 1, axis=1)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """20 synthetic scenes in the layout of the release, and what is true of each."""
    folder = tmp_path_factory.mktemp("scenes") / "release"
    write_release(folder, 20, seed=11, size=(128, 128))
    truth = {record.sample_id: record for _, record in read_all(open_source(folder))}
    return folder, truth


def test_from_pictures_to_a_verified_release(label_studio, scenes, tmp_path):
    from earthreason.data.pictures import mask_of

    folder, records = scenes
    truth = {name: mask_of(record.mask, folder) for name, record in records.items()}
    marked = [name for name in truth if truth[name].any()]
    disputed, contradicted, moved = marked[0], marked[1], marked[2:6]
    work = tmp_path / "work"
    run("masks", "import", work, folder)
    run("masks", "prelabel", work, "--model", "superpixels", "--replace")
    workspace = Workspace.open(work)
    assert len(workspace.tasks) == 20

    with LabelStudioClient(label_studio.url, label_studio.login.token) as owner:
        pushed = push_project(owner, workspace, label_studio.url)
        assert pushed.added == 20
        shown = {task["data"]["task"]: task for task in owner.tasks(pushed.project)}
        guesses = workspace.prelabels()
        assert {name for name, task in shown.items() if task["total_predictions"]} == {
            name for name, guess in guesses.items() if not guess.is_empty
        }
        tasks = {name: task["id"] for name, task in shown.items()}
        ben = join(label_studio, "ben@example.org")
        for name, mask in truth.items():
            category = records[name].category
            annotate(owner, tasks[name], draw(name, mask, category), 30.0)
            other = {disputed: np.roll(mask, 64, axis=0), contradicted: np.zeros_like(mask)}.get(name, mask)
            annotate(ben, tasks[name], draw(name, shifted(mask) if name in moved else other, category), 40.0)
        found = collect_drawings(owner, workspace, label_studio.url)
        assert found.counts == {"new": 40}

    assert all(
        np.array_equal(by.mask, truth[name])
        for name in truth
        for by in workspace.drawings()[name]
        if by.annotator == label_studio.login.email
    )
    run("agreement", work, "--report", tmp_path / "agreement", "--json", tmp_path / "agreement.json")
    quality = json.loads((tmp_path / "agreement.json").read_text())
    assert (quality["images"], len(quality["pairs"])) == (20, 20)
    assert quality["emptiness"]["disputed"] == [contradicted]
    assert {pair["image"] for pair in quality["pairs"] if pair["iou"] < 1} == {disputed, contradicted, *moved}
    assert [person["seconds"] for person in quality["people"]] == [40.0, 30.0]
    assert (tmp_path / "agreement" / "index.html").read_text().count("<article") == len(moved) + 2

    run("adjudicate", work, "--min-iou", "0.5")
    waiting = {name for name, entry in workspace.consensus().items() if not entry.settled}
    assert waiting == {disputed, contradicted}

    with LabelStudioClient(label_studio.url, label_studio.login.token) as owner:
        queue = push_project(owner, workspace, label_studio.url, Wishes(overlap=1), only=waiting)
        tasks = {task["data"]["task"]: task["id"] for task in owner.tasks(queue.project)}
        assert set(tasks) == waiting
        cleo = join(label_studio, "cleo@example.org")
        for name in waiting:
            annotate(cleo, tasks[name], draw(name, truth[name], records[name].category), 50.0)
        assert collect_drawings(owner, workspace, label_studio.url).counts == {"same": 40, "new": 2}
    run("adjudicate", work, "--min-iou", "0.5", "--min-drawings", "2")
    assert all(entry.settled for entry in workspace.consensus().values())

    store = open_review(str(work), tmp_path / "review", Plan(overlap=0, second_pass=0))
    assert (store.images, store.questions) == (20, 120)
    judged = 0
    while (item := store.item("dora")) is not None:
        said = {
            3: {"verdict": "reject", "reasons": ["leak"]},
            4: {"verdict": "edit", "text": "Where else, and why there?"},
        }
        verdict = {"verdict": "accept"} | (said.get(item.number, {}) if item.sample <= 5 else {})
        store.judge(
            ReviewJudgement(
                review=store.review,
                reviewer="dora",
                item=item.item,
                place=item.place,
                revision=0,
                key=f"key-{item.place:05d}",
                **verdict,
            )
        )
        judged += 1
    store.close()
    assert judged == 120

    out = tmp_path / "released"
    run("masks", "export", work, "--format", "release", "--out", out, "--reviews", tmp_path / "review")
    found = audit(out)
    assert [finding.message for finding in found.findings if finding.severity == "error"] == []
    data = load_dataset("earthreason", data_dir=out)
    rows = {row["sample_id"]: row for split in data.values() for row in split}
    assert len(rows) == 20
    assert sorted(len(row["questions"]) for row in rows.values()) == [5] * 5 + [6] * 15
    assert sum("Where else, and why there?" in row["questions"] for row in rows.values()) == 5
    for name, row in rows.items():
        mask = np.asarray(row["mask"]) != 0
        expected = truth[name] & shifted(truth[name]) if name in moved else truth[name]
        assert np.array_equal(mask, expected), name
        assert row["category"] == (records[name].category if mask.any() else None)
        annotation = json.loads(row["extra"])["annotation"]
        assert {who["annotator"] for who in annotation["drawings"]} >= {label_studio.login.email, "ben@example.org"}
        assert all(who["tool"].startswith("label-studio 1.") for who in annotation["drawings"])


def test_label_studio_reads_our_brush_streams_as_we_do(label_studio):
    import subprocess

    from annotation_tools.formats.brush import encode_brush
    from annotation_tools.labelstudio.environment import environment_folder

    rng = np.random.default_rng(5)
    masks = [rng.random((17, 23)) > 0.5, np.ones((300, 300), bool), np.zeros((4, 5), bool), np.eye(9, dtype=bool)]
    code = (
        "import sys, json; from label_studio_sdk.converter.brush import decode_rle, encode_rle\n"
        "import numpy as np\n"
        "for stream, mask in json.load(sys.stdin):\n"
        "    flat = np.repeat(np.array(mask, np.uint8).ravel() * 255, 4)\n"
        "    print(bool((decode_rle(stream) == flat).all()), json.dumps(list(map(int, encode_rle(flat)))))\n"
    )
    told = json.dumps([[encode_brush(mask), mask.astype(int).tolist()] for mask in masks])
    python = environment_folder() / "bin" / "python"
    done = subprocess.run([python, "-c", code], input=told, capture_output=True, text=True, check=True)
    from annotation_tools.formats.brush import decode_brush

    for mask, line in zip(masks, done.stdout.splitlines(), strict=True):
        agrees, theirs = line.split(" ", 1)
        assert agrees == "True"
        assert np.array_equal(decode_brush(json.loads(theirs), *mask.shape), mask)


def test_a_wrong_token_is_refused_by_the_real_server(label_studio):
    from annotation_tools.labelstudio.client import LabelStudioError

    with pytest.raises(LabelStudioError, match="refuses the token"):
        LabelStudioClient(label_studio.url, "0" * 40)


def test_a_personal_access_token_signs_in(label_studio):
    with LabelStudioClient(label_studio.url, label_studio.login.token) as owner:
        token = owner.call("POST", "/api/token", json={})["token"]
    with LabelStudioClient(label_studio.url, token) as client:
        assert client.version.startswith("label-studio 1.")
