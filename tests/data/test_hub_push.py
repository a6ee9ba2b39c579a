"""An exported folder is pushed to a real server, and plain `datasets` loads it back without this package."""

import json
import subprocess
import sys

import pytest

from tests.data.hub_clients import environment, run_client
from tests.hub_server import HubServer

LOAD_BACK = """
import json, sys, datasets, numpy as np
loaded = datasets.load_dataset("user/mine", **OPTIONS)
assert "earthreason" not in sys.modules
rows = [row for split in loaded.values() for row in split]
print(json.dumps({
    "ids": {name: list(split["sample_id"]) for name, split in loaded.items()} if not OPTIONS else None,
    "sizes": [row["image"].size for row in rows],
    "areas": [int((np.asarray(row["mask"]) > 0).sum()) for row in rows],
    "questions": [list(row["questions"]) for row in rows],
}))
"""


@pytest.fixture(scope="module")
def hub():
    with HubServer() as server:
        yield server


def export(hub, home, *arguments, token="hf_good"):
    command = [sys.executable, "-m", "earthreason", "export", *arguments]
    variables = environment(hub, home, **({"HF_TOKEN": token} if token else {}), NO_COLOR="1", COLUMNS="1000")
    return subprocess.run(command, env=variables, cwd=home, capture_output=True, text=True)


def load_back(hub, home, options="{}"):
    return json.loads(run_client(hub, home, LOAD_BACK.replace("OPTIONS", options), PYTHONPATH=""))


def test_plain_datasets_loads_what_was_pushed(hub, release, tmp_path):
    done = export(hub, tmp_path, str(release), "--format", "parquet", "--out", "out", "--push-to", "user/mine")
    assert f"uploaded: {hub.url}/datasets/user/mine" in done.stdout, done.stderr
    back = load_back(hub, tmp_path)
    assert back["ids"] == {"train": ["a", "b", "c"], "validation": ["d"], "test": ["e", "f"]}
    assert back["sizes"] == [[32, 24]] * 6
    assert back["areas"] == [60, 60, 60, 60, 60, 0]  # tests/conftest.py draws 6 x 10 pixels, and none for f
    assert back["questions"][0] == ["Where would a be?", "And where else?"]
    assert load_back(hub, tmp_path, "{'streaming': True}")["areas"] == back["areas"]


def test_a_second_push_leaves_no_rows_of_the_first(hub, release, tmp_path):
    files = hub.repositories["user/mine"].commits[hub.repositories["user/mine"].refs["main"]]
    content = next(content for path, content in files.items() if path.startswith("data/train-"))
    hub.publish("user/mine", {**files, "data/train-00001-of-00002.parquet": content, "LICENSE": b"mine"})
    (release / "train" / "images" / "a.jpg").unlink()
    (release / "train" / "labels" / "a.png").unlink()
    (release / "train" / "QAs" / "a.json").unlink()
    done = export(hub, tmp_path, str(release), "--format", "parquet", "--out", "out", "--push-to", "user/mine")
    assert done.returncode == 0, done.stderr
    assert load_back(hub, tmp_path)["ids"]["train"] == ["b", "c"]
    assert hub.repositories["user/mine"].commits[hub.repositories["user/mine"].refs["main"]]["LICENSE"] == b"mine"


@pytest.mark.parametrize(
    ("repository", "token", "reason"),
    [
        ("user/mi ne", "hf_good", "'user/mi ne' is not the id of a repository; write OWNER/NAME"),
        ("user/mine", None, "needs a token of the Hub; log in with `hf auth login` or set HF_TOKEN"),
    ],
)
def test_a_push_that_cannot_begin_is_refused_before_the_export(hub, release, tmp_path, repository, token, reason):
    arguments = [str(release), "--format", "coco", "--out", "out", "--push-to", repository]
    done = export(hub, tmp_path, *arguments, token=token)
    assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("repository", "token", "reason"),
    [
        ("other/mine", "hf_good", "your token has no right to do this (403)"),
        ("user/mine", "hf_bad", "the Hub does not accept your token (401)"),
    ],
)
def test_a_refused_push_keeps_the_export_and_says_why(hub, release, tmp_path, repository, token, reason):
    arguments = [str(release), "--format", "coco", "--out", "out", "--push-to", repository]
    done = export(hub, tmp_path, *arguments, token=token)
    assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "annotations" / "test.json").is_file()


def test_verify_compares_the_checksums_of_a_download(hub, release, tmp_path):
    from tests.data.hub_clients import archives_of

    hub.publish("a/b", archives_of(release))

    def command(*arguments):
        line = [sys.executable, "-m", "earthreason", *arguments]
        return subprocess.run(line, env=environment(hub, tmp_path), cwd=tmp_path, capture_output=True, text=True)

    done = command("download", "--to", "data", "--repo", "a/b")
    assert "data/release/RSReasonSeg: train 3, validation 1, test 2" in done.stdout, done.stderr
    done = command("verify", "data/release/RSReasonSeg", "--checksums")
    assert (done.returncode, done.stdout.splitlines()[1:]) == (
        0,
        [f"{split}.zip: as on the Hub" for split in ("test", "train", "val")],
    )
    (tmp_path / "data" / "hub" / "val.zip").write_bytes(b"PK")
    done = command("verify", "data", "--checksums")
    assert done.returncode == 2
    assert "val.zip: 2 bytes instead of" in done.stdout
    assert "fetch the broken files again" in done.stderr
    done = command("verify", str(release), "--checksums")
    assert (done.returncode, "was not made by `earthreason download`" in done.stderr) == (2, True)
