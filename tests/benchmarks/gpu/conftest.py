import tempfile

import pytest


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Folder for what the run does not bring back."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
