import pytest

from annotation_tools.labelstudio.environment import ensure_program, environment_folder, installed_program
from annotation_tools.labelstudio.server import login_of, make_private
from earthreason.errors import EarthReasonError


def test_an_installation_that_fails_is_told_and_not_taken_for_one(tmp_path, monkeypatch):
    monkeypatch.setenv("EARTHREASON_LABEL_STUDIO", str(tmp_path / "env"))
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(EarthReasonError, match="could not be installed into .*--url and --token"):
        ensure_program()
    assert environment_folder() == tmp_path / "env"
    assert installed_program() is None


def test_the_environment_is_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("EARTHREASON_LABEL_STUDIO", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert environment_folder().parent == tmp_path / "earthreason"


def test_a_login_is_made_once_and_kept_from_others(tmp_path):
    login = login_of(tmp_path)
    assert login_of(tmp_path) == login
    assert (tmp_path / "login.json").stat().st_mode & 0o077 == 0
    assert len(login.token) == 40


def test_data_that_others_could_read_are_closed_and_links_left_alone(tmp_path):
    folder, outside = tmp_path / "label-studio", tmp_path / "outside"
    (folder / "media").mkdir(parents=True)
    (folder / "label_studio.sqlite3").touch()
    outside.touch()
    (folder / "link").symlink_to(outside)
    for path in (folder, folder / "media"):
        path.chmod(0o755)
    for path in (folder / "label_studio.sqlite3", outside):
        path.chmod(0o644)
    make_private(folder)
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "media")] == [0o700, 0o700]
    assert (folder / "label_studio.sqlite3").stat().st_mode & 0o777 == 0o600
    assert outside.stat().st_mode & 0o777 == 0o644
