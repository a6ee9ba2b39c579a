import json
import types
import zipfile

import huggingface_hub
import pytest

from earthreason.data.download import download_release
from earthreason.errors import DataFormatError, DataNotFoundError


@pytest.fixture
def hub(release, monkeypatch):
    """A Hub whose repository holds one archive a split, nested as the release's are."""

    def info(self, repository, revision=None):
        return types.SimpleNamespace(sha=revision or "983ff43")

    def fetch(repository, repo_type, revision, local_dir):
        local_dir.mkdir(parents=True, exist_ok=True)
        for split in ("train", "val", "test"):
            with zipfile.ZipFile(local_dir / f"{split}.zip", "w") as archive:
                for path in (release / split).rglob("*"):
                    archive.write(path, f"RSReasonSeg/{split}/{path.relative_to(release / split)}")
        return str(local_dir)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)


def test_it_is_fetched_unpacked_found_and_recorded(hub, tmp_path):
    found = download_release(tmp_path / "data", "a/b", "abc")
    assert found.counts == {"train": 3, "validation": 1, "test": 2}
    assert found.release.name == "RSReasonSeg"
    record = json.loads((tmp_path / "data" / "download.json").read_text())
    assert record["revision"] == "abc"
    assert set(record["files"]) == {"train.zip", "val.zip", "test.zip"}
    assert download_release(tmp_path / "data", "a/b").release == found.release


def test_offline_it_says_what_to_do_by_hand(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(DataNotFoundError, match="no network.*in a browser from https://huggingface.co/datasets/a/b"):
        download_release(tmp_path / "data", "a/b")
    assert not (tmp_path / "data" / "download.json").exists()


def test_an_archive_that_escapes_is_refused(hub, tmp_path, monkeypatch):
    def fetch(repository, repo_type, revision, local_dir):
        local_dir.mkdir(parents=True)
        with zipfile.ZipFile(local_dir / "train.zip", "w") as archive:
            archive.writestr("../../evil.txt", "x")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    with pytest.raises(DataFormatError, match="points outside"):
        download_release(tmp_path / "data", "a/b")
    assert not list(tmp_path.rglob("evil.txt"))
