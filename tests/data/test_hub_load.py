"""`load_dataset("earthreason")` from a real server: revision, token, caches, download_mode, parallel use, offline."""

import json

import pytest

from tests.data.hub_clients import OFFICIAL, archives_of, run_client, start_client
from tests.hub_server import HubServer

LOAD = """
import json, sys
import earthreason, datasets
from earthreason.errors import EarthReasonError
def load(function=earthreason.load_dataset, **options):
    try:
        loaded = function("earthreason", **options)
        print(json.dumps({name: list(rows["sample_id"]) for name, rows in loaded.items()}))
    except EarthReasonError as error:
        print(json.dumps(str(error)))
"""
ALL = {"train": ["a", "b", "c"], "validation": ["d"], "test": ["e", "f"]}
WITHOUT_A = {**ALL, "train": ["b", "c"]}


@pytest.fixture
def hub(release):
    with HubServer() as server:
        server.publish(OFFICIAL, archives_of(release, without={"a"}), branch="v1")
        server.publish(OFFICIAL, archives_of(release))
        yield server


def load(hub, home, code="load()", **options):
    return [json.loads(line) for line in run_client(hub, home, LOAD + code, **options).splitlines()]


def test_both_functions_load_the_revision_that_is_named_and_no_other(hub, tmp_path):
    old = hub.repositories[OFFICIAL].refs["v1"]
    plain = "load(datasets.load_dataset, revision='v1'); load(datasets.load_dataset); "
    ours = f"load(revision={old!r}); load(revision='no-such'); load(datasets.load_dataset, revision='no-such')"
    *loaded, message, same = load(hub, tmp_path, plain + ours)
    assert loaded == [WITHOUT_A, ALL, WITHOUT_A]
    assert "there is no revision 'no-such' in it" in message
    assert same == message


def test_a_branch_that_moved_is_loaded_anew_without_what_it_lost(hub, release, tmp_path):
    assert load(hub, tmp_path) == [ALL]
    fewer = archives_of(release, without={"a"})
    del fewer["val.zip"]
    hub.publish(OFFICIAL, fewer)
    assert load(hub, tmp_path) == [{"train": ["b", "c"], "test": ["e", "f"]}]


def test_the_token_opens_a_gated_repository(hub, tmp_path):
    hub.repositories[OFFICIAL].gated = True
    hub.repositories[OFFICIAL].allowed = {"user"}
    refused, loaded = load(hub, tmp_path, "load(); load(datasets.load_dataset, token='hf_good')")
    assert "the repository is gated" in refused
    assert loaded == ALL
    assert {headers.get("Authorization") for headers in hub.asked("resolve")} == {"Bearer hf_good"}
    assert {headers.get("Authorization") for headers in hub.asked("/cdn/")} == {None}


def files_below(folder):
    return [
        path for path in folder.rglob("*") if path.is_file() and path.suffix in (".zip", ".parquet", ".jpg", ".arrow")
    ]


def test_cache_dir_holds_all_that_is_written(hub, tmp_path):
    cache = tmp_path / "elsewhere"
    (tmp_path / "home").mkdir()
    assert load(hub, tmp_path / "home", f"load(cache_dir={str(cache)!r})") == [ALL]
    assert {path.name for path in cache.iterdir()} >= {"hub", "earthreason-unpacked", "earthreason-prepared"}
    assert {path.suffix for path in files_below(cache)} == {".zip", ".jpg", ".parquet", ".arrow"}
    assert files_below(tmp_path / "home") == []


def test_a_copy_in_the_users_own_cache_spares_the_download(hub, tmp_path):
    code = f"from huggingface_hub import snapshot_download; snapshot_download({OFFICIAL!r}, repo_type='dataset')"
    run_client(hub, tmp_path, code)
    assert load(hub, tmp_path, "load(cache_dir='elsewhere')") == [ALL]
    assert len(hub.asked("GET /cdn/")) == 3


def test_the_download_mode_decides_what_is_fetched_again(hub, tmp_path):
    modes = "load(); load(download_mode='reuse_cache_if_exists'); load(download_mode='force_redownload')"
    assert load(hub, tmp_path, modes) == [ALL] * 3
    assert len(hub.asked("GET /cdn/")) == 6


def test_four_processes_at_first_use_all_load_and_one_downloads(hub, tmp_path):
    clients = [start_client(hub, tmp_path, LOAD + "load()") for _ in range(4)]
    answers = [client.communicate(timeout=300) for client in clients]
    assert [client.returncode for client in clients] == [0] * 4, answers
    assert [json.loads(out) for out, _ in answers] == [ALL] * 4
    assert len(hub.asked("GET /cdn/")) == 3


def test_offline_what_was_loaded_or_downloaded_before_loads(hub, tmp_path):
    offline = {"HF_HUB_OFFLINE": "1"}
    (message,) = load(hub, tmp_path, "load()", **offline)
    assert "the network is switched off (HF_HUB_OFFLINE" in message
    code = f"from huggingface_hub import snapshot_download; snapshot_download({OFFICIAL!r}, repo_type='dataset')"
    run_client(hub, tmp_path, code)
    seen = len(hub.requests)
    loaded, message = load(hub, tmp_path, "load(); load(revision='v1')", **offline)
    assert loaded == ALL
    assert "no complete copy of revision 'v1'" in message
    assert len(hub.requests) == seen
    load(hub, tmp_path, "load(revision='v1')")
    assert load(hub, tmp_path, "load(revision='v1')", **offline) == [WITHOUT_A]


def test_an_incomplete_copy_is_not_loaded_offline_and_is_completed_online(hub, tmp_path):
    fault = hub.fail("GET /cdn/", status=403, times=99)
    assert "access is refused (403)" in load(hub, tmp_path)[0]
    fault.times = 0  # how many files the client had begun depends on its threads
    assert "no complete copy of revision 'main'" in load(hub, tmp_path, HF_HUB_OFFLINE="1")[0]
    assert load(hub, tmp_path) == [ALL]


def test_a_repository_of_plain_files_loads_without_unpacking(hub, release, tmp_path):
    files = {path.relative_to(release).as_posix(): path.read_bytes() for path in release.rglob("*") if path.is_file()}
    hub.publish(OFFICIAL, files)
    assert load(hub, tmp_path, "load(); load()") == [ALL, ALL]


def test_when_the_hub_fails_the_copy_in_the_cache_loads(hub, tmp_path):
    load(hub, tmp_path)
    hub.fail("GET /api/datasets", status=500, times=99)
    assert load(hub, tmp_path) == [ALL]


def test_a_local_folder_is_not_loaded_under_the_name_of_a_revision(hub, release, tmp_path):
    own, sample = load(
        hub, tmp_path, f"load(data_dir={str(release)!r}, revision='v1'); load(name='sample', revision='v1')"
    )
    assert "is not known to be revision 'v1': no download.json records which it has" in own
    assert "'sample' is made by this package and has no revision 'v1'" in sample
    (release.parent / "download.json").write_text('{"repository": "a/b", "revision": "1f0c2a9b", "files": {}}')
    assert load(hub, tmp_path, f"load(data_dir={str(release)!r}, revision='1f0c2a9')") == [ALL]
