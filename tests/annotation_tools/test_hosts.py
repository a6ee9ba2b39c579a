"""Where people find a server, given the address that it listens on."""

import pytest
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.hosts import local_url, remote_hint


@pytest.mark.parametrize(
    ("host", "url", "hinted"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", False),
        ("lab.example", "http://lab.example:80", False),
        ("::1", "http://[::1]:80", False),
        ("0.0.0.0", "http://127.0.0.1:80", True),  # no browser opens 0.0.0.0 on every system
        ("::", "http://[::1]:80", True),
    ],
)
def test_a_server_on_all_addresses_is_found_here_and_from_elsewhere(host, url, hinted):
    assert local_url(host, 80) == url
    assert bool(remote_hint(host)) == hinted


def test_review_names_an_address_that_a_browser_opens(tmp_path, monkeypatch):
    monkeypatch.setattr("annotation_tools.review.serve.serve", lambda *_: None)
    monkeypatch.setattr("earthreason.cli.ports.check_free", lambda *_: None)
    words = ["review", "sample", "--out", str(tmp_path / "review"), "--host", "0.0.0.0"]
    told = CliRunner().invoke(app, words, catch_exceptions=False).output
    assert "http://127.0.0.1:8765/" in told
    assert "from other machines" in told
