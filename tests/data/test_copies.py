"""Prepared copies: when a new one is made, which are removed, and what a killed process leaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from earthreason.data import configs, copies, prepared
from earthreason.synthetic.release import write_release


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an empty cache of prepared copies."""
    monkeypatch.setattr(configs, "prepared_root", lambda cache_dir=None: tmp_path / "cache")
    monkeypatch.setattr(copies, "prepared_root", lambda cache_dir=None: tmp_path / "cache")
    monkeypatch.setattr(copies, "unpacked_root", lambda: tmp_path / "unpacked")
    return tmp_path / "cache"


@pytest.fixture
def release(tmp_path):
    write_release(tmp_path / "release", {"train": 2, "val": 1, "test": 2}, seed=1, size=(96, 96))
    return tmp_path / "release"


def states() -> list[str]:
    return sorted(copy.state for copy in copies.list_copies())


def test_another_version_of_a_library_that_decides_bytes_makes_a_new_copy(root, release, monkeypatch):
    first = configs.get_config("default").prepare(release)
    assert configs.get_config("default").prepare(release) == first
    monkeypatch.setattr(prepared, "version", lambda library: "99.0")
    second = configs.get_config("default").prepare(release)
    assert second != first
    assert states() == ["current", "outdated"]
    assert [copy.folder for copy in copies.remove([c for c in copies.list_copies() if c.state != "current"])] == [first]
    assert not first.parent.exists()
    assert second.is_dir()


def test_a_copy_of_files_that_changed_since_is_outdated(root, release):
    configs.get_config("default").prepare(release)
    question = next((release / "test" / "QAs").iterdir())
    question.write_text(json.dumps({"questions": ["Where could a pilot land?"], "answer": []}))
    configs.get_config("default").prepare(release)
    assert states() == ["current", "outdated"]
    newest = copies.list_copies()[0]
    assert (newest.state, newest.config, newest.origin) == ("current", "default", str(release))


def test_a_copy_that_another_process_prepares_is_kept(root, release):
    from filelock import FileLock

    folder = configs.get_config("default").prepare(release)
    with FileLock(folder.parent / "lock"):
        held = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path; from earthreason.data import copies\n"
                "copies.prepared_root = lambda cache_dir=None: Path(sys.argv[1])\n"
                "copies.unpacked_root = lambda: Path(sys.argv[1]) / 'none'\n"
                "print(len(copies.remove(copies.list_copies())))",
                str(root),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    assert held.stdout == "0\n"
    assert folder.is_dir()


def test_a_killed_preparation_leaves_nothing_that_is_used_or_kept(tmp_path, monkeypatch):
    home = tmp_path / "datasets"
    prepare = "configs.SampleConfig(counts=(('test', 2),)).prepare(None)"
    script = tmp_path / "prepare.py"
    script.write_text(
        "import time\n"
        "from earthreason.data import configs, prepared\n"
        "def slow(*args, **kwargs):\n"
        "    with prepared.atomic_path(args[0]) as temporary:\n"
        "        temporary.mkdir()\n"
        "        (temporary / 'half.parquet').write_bytes(b'half')\n"
        "        print('writing', flush=True)\n"
        "        time.sleep(60)\n"
        "configs.write_prepared = slow\n"
        f"{prepare}\n"
    )
    environment = os.environ | {"HF_DATASETS_CACHE": str(home)}
    process = subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    prepared_folders = home / "earthreason-prepared"
    assert len(list(prepared_folders.rglob("half.parquet"))) == 1
    done = subprocess.run(
        [sys.executable, "-c", f"from earthreason.data import configs; print({prepare})"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(prepared_folders.rglob("half.parquet")) == []
    assert Path(done.stdout.strip(), "README.md").is_file()


def test_unpacked_archives_are_listed_and_removed_only_when_all_is(root, tmp_path):
    commit, mine = tmp_path / "unpacked" / "datasets--a--b" / "0123abcd", tmp_path / "unpacked" / "77" / "mine"
    for folder in (commit / "release" / "test", mine / "test", mine.parents[1] / "78" / ".mine.x"):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"12345")
    listed = {(copy.origin, copy.size, copy.state) for copy in copies.list_copies()}
    assert listed == {("a/b@0123abcd", 5, "unpacked"), ("mine", 5, "unpacked"), (".mine.x", 5, "unfinished")}
    copies.remove([copy for copy in copies.list_copies() if copy.state == "unfinished"])
    assert states() == ["unpacked", "unpacked"]
    copies.remove(copies.list_copies())
    assert states() == []
    assert not commit.exists()
    assert not mine.parent.exists()
