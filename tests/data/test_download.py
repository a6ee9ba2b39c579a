"""`download_release` against a real server: contents, checksums, revisions, interruptions."""

import hashlib
import json
import shutil

import pytest

from tests.data.hub_clients import GET, archives_of, run_client
from tests.hub_server import HubServer

COUNTS = {"train": 3, "validation": 1, "test": 2}


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


def get(hub, home, code="get()", **options):
    return [json.loads(line) for line in run_client(hub, home, GET + code, **options).splitlines()]


def record(home):
    return json.loads((home / "data" / "download.json").read_text())


def test_it_is_fetched_unpacked_found_and_recorded(hub, release, tmp_path):
    files = archives_of(release)
    commit = hub.publish("a/b", files)
    first, again = get(hub, tmp_path, "get(); get()")
    assert first == again == ["data/release/RSReasonSeg", commit, COUNTS]
    assert record(tmp_path)["revision"] == commit
    assert record(tmp_path)["files"] == {name: len(content) for name, content in files.items()}
    assert record(tmp_path)["sha256"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    assert len(hub.asked("GET /cdn/")) == 3


def test_another_revision_replaces_the_files_and_removes_those_that_it_lacks(hub, release, tmp_path):
    old = hub.publish("a/b", archives_of(release))
    fewer = archives_of(release, without={"a"})
    del fewer["val.zip"]
    new = hub.publish("a/b", fewer)
    assert get(hub, tmp_path, f"get({old!r}); get()") == [
        ["data/release/RSReasonSeg", old, COUNTS],
        ["data/release/RSReasonSeg", new, {"train": 2, "test": 2}],
    ]
    assert not list((tmp_path / "data" / "release").rglob("a.*"))
    assert not (tmp_path / "data" / "hub" / "val.zip").exists()
    assert (record(tmp_path)["revision"], set(record(tmp_path)["files"])) == (new, set(fewer))


def test_a_record_of_an_older_version_is_not_trusted(hub, release, tmp_path):
    commit = hub.publish("a/b", archives_of(release, without={"a"}))
    shutil.copytree(release, tmp_path / "data" / "release" / "RSReasonSeg")
    (tmp_path / "data" / "download.json").write_text(
        json.dumps({"repository": "a/b", "revision": commit, "files": {}, "samples": COUNTS})
    )
    assert get(hub, tmp_path) == [["data/release/RSReasonSeg", commit, {**COUNTS, "train": 2}]]


def test_a_revision_that_cannot_be_fetched_leaves_the_one_before_with_its_name(hub, release, tmp_path):
    old = hub.publish("a/b", archives_of(release))
    get(hub, tmp_path)
    hub.publish("a/b", archives_of(release, without={"a"}))
    hub.fail("GET /cdn/", status=403, times=99)
    (message,) = get(hub, tmp_path)
    assert "403" in message
    assert record(tmp_path)["revision"] == old
    assert list((tmp_path / "data" / "release").rglob("a.jpg"))


def flip(content):
    return content[:60] + bytes([content[60] ^ 255]) + content[61:]


def test_an_archive_with_wrong_bytes_is_fetched_again(hub, release, tmp_path):
    commit = hub.publish("a/b", archives_of(release))
    hub.fail("GET /cdn/", change=flip)
    assert get(hub, tmp_path) == [["data/release/RSReasonSeg", commit, COUNTS]]
    assert len(hub.asked("GET /cdn/")) == 4


def test_an_archive_that_went_bad_on_disk_is_fetched_again(hub, release, tmp_path):
    files = archives_of(release)
    hub.publish("a/b", files)
    get(hub, tmp_path)
    archive = tmp_path / "data" / "hub" / "val.zip"
    archive.write_bytes(flip(archive.read_bytes()))
    get(hub, tmp_path)
    assert archive.read_bytes() == files["val.zip"]


def test_bytes_that_are_always_wrong_are_refused_and_nothing_is_unpacked(hub, release, tmp_path):
    hub.publish("a/b", archives_of(release))
    hub.fail("GET /cdn/", change=flip, times=99)
    (message,) = get(hub, tmp_path)
    assert message.startswith("DataFormatError: train.zip of a/b is not what the Hub states, even after a second")
    assert not (tmp_path / "data" / "release").exists()
    assert record(tmp_path)["revision"] is None


def test_a_broken_connection_continues_where_it_stopped(hub, release, tmp_path):
    files = archives_of(release)
    commit = hub.publish("a/b", files)
    oid = hashlib.sha256(files["train.zip"]).hexdigest()
    hub.fail(f"GET /cdn/{oid}", cut=1000)
    # The client keeps whole chunks only, which are of 10 MB.
    chunks = "from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 500; get()"
    assert get(hub, tmp_path, chunks) == [["data/release/RSReasonSeg", commit, COUNTS]]
    assert [headers.get("Range") for headers in hub.asked(f"GET /cdn/{oid}")] == [None, "bytes=1000-"]


def test_an_archive_that_arrives_too_short_is_fetched_again(hub, release, tmp_path):
    commit = hub.publish("a/b", archives_of(release))
    hub.fail("GET /cdn/", change=lambda content: content[:-100])
    assert get(hub, tmp_path) == [["data/release/RSReasonSeg", commit, COUNTS]]


KILLED = """
import os, signal
from earthreason.data import archives
walk, count = archives._walk, iter(range(9))
def killed(*arguments, **facts):
    if next(count) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return walk(*arguments, **facts)
archives._walk = killed
get()
"""


def test_a_killed_unpacking_leaves_nothing_that_the_next_one_takes(hub, release, tmp_path):
    commit = hub.publish("a/b", archives_of(release))
    get(hub, tmp_path, KILLED, expect=-9)
    assert not (tmp_path / "data" / "release").exists()
    assert get(hub, tmp_path) == [["data/release/RSReasonSeg", commit, COUNTS]]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {
        "hub",
        "release",
        "download.json",
        ".download.lock",
    }


def test_files_that_no_download_made_are_never_removed(hub, release, tmp_path):
    hub.publish("a/b", archives_of(release))
    shutil.copytree(release, tmp_path / "data" / "release")
    (message,) = get(hub, tmp_path)
    assert "data/release is there, but no download.json says that a download made it" in message
    assert len(list((tmp_path / "data" / "release").rglob("*.jpg"))) == 6
    shutil.rmtree(tmp_path / "data")
    get(hub, tmp_path)
    (tmp_path / "data" / "hub" / "mine.zip").write_bytes(b"mine")
    (message,) = get(hub, tmp_path)
    assert "data/hub/mine.zip is no file of the dataset; move it elsewhere" in message
    assert (tmp_path / "data" / "hub" / "mine.zip").exists()


def test_an_archive_that_escapes_is_refused(hub, release, tmp_path):
    files = archives_of(release)
    files["train.zip"] = files["train.zip"].replace(b"RSReasonSeg/train/", b"../../../../evil/x")
    hub.publish("a/b", files)
    (message,) = get(hub, tmp_path)
    assert "points outside" in message
    assert not list(tmp_path.rglob("*evil*"))


def test_checksums_are_compared_with_the_record(hub, release, tmp_path):
    hub.publish("a/b", archives_of(release))
    get(hub, tmp_path)
    code = "from earthreason.data.checksums import compare_download\n"
    code += "print(json.dumps(dict(compare_download(Path('data/release/RSReasonSeg')))))"
    assert get(hub, tmp_path, code) == [{"README.md": "", "test.zip": "", "train.zip": "", "val.zip": ""}]
    archive = tmp_path / "data" / "hub" / "val.zip"
    archive.write_bytes(flip(archive.read_bytes()))
    (tmp_path / "data" / "hub" / "train.zip").unlink()
    (faults,) = get(hub, tmp_path, code)
    assert faults["train.zip"] == "absent"
    assert faults["val.zip"].startswith(f"sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()[:12]}... instead of")
