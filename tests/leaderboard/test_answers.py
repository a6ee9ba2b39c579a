"""How answers travel: packed, with tags, to HEAD, and to scripts of other sites."""

import gzip
import re

import brotli
import pytest
from fastapi.testclient import TestClient

from leaderboard.web.app import create_app
from tests.leaderboard.test_board_api import many as many
from tests.leaderboard.toys import make_predictions


@pytest.mark.parametrize("path", ["/?split=toy/test", "/api/board?split=toy/test", "/scoring"])
def test_pages_are_packed_as_the_browser_asks(client, many, path):
    plain = client.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for name, unpack in (("gzip", gzip.decompress), ("br", brotli.decompress)):
        with client.stream("GET", path, headers={"accept-encoding": name}) as answer:
            body = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == name
        assert "Accept-Encoding" in answer.headers["vary"]
        assert answer.headers["etag"] == plain.headers["etag"]
        assert len(body) < len(plain.content) / 2
        assert unpack(body) == plain.content


@pytest.mark.parametrize("path", ["/?split=toy/test", "/api/board?split=toy/test", "/api/board.csv?split=toy/test"])
def test_what_the_browser_has_is_not_sent_again_until_it_changes(hand, references, path):
    hand.published(make_predictions(references))
    tag = hand.client.get(path).headers["etag"]
    for named in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        again = hand.client.get(path, headers={"if-none-match": named})
        assert (again.status_code, again.content) == (304, b"")
    hand.published(make_predictions(references, 1))
    assert hand.client.get(path, headers={"if-none-match": tag}).status_code == 200


def test_head_tells_what_get_would_everywhere(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    for path in (
        "/",
        f"/models/{submission_id}",
        f"/pictures/{submission_id}/0-truth.jpg",
        "/compare",
        "/scoring",
        "/published",
        "/api",
        "/sign-in",
        "/submit",
        "/robots.txt",
        "/sitemap.xml",
        "/sitemaps/0.xml",
        "/static/board.css",
        "/health",
        "/metrics",
        "/nowhere",
        "/api/openapi.json",
        "/api/splits",
        "/api/splits/toy/open/samples",
        "/api/board",
        "/api/board.csv",
        "/api/board.tex",
        "/api/board.md",
        "/api/published",
        "/api/submissions",
        f"/api/submissions/{submission_id}",
        f"/api/submissions/{submission_id}/samples.csv",
    ):
        got, head = (hand.client.request(method, path, follow_redirects=False) for method in ("GET", "HEAD"))
        assert head.status_code == got.status_code, path
        assert head.content == b"", path
        for name in ("content-type", "content-length", "etag", "location", "content-encoding"):
            assert head.headers.get(name) == got.headers.get(name) or path == "/metrics", (path, name)
    refused = hand.client.post("/api/board")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_other_sites_may_read_what_is_public_and_nothing_else(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    elsewhere = {"origin": "https://other.example"}
    for path in ("/api/board", "/api/board.csv", "/api/splits", "/api/published", f"/api/submissions/{submission_id}"):
        answer = hand.client.get(path, headers=elsewhere)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    for path in ("/", "/mine", "/sign-in", f"/models/{submission_id}", "/health"):
        assert "access-control-allow-origin" not in hand.client.get(path, headers=elsewhere).headers

    def preflight(method, headers=""):
        asked = {**elsewhere, "access-control-request-method": method, "access-control-request-headers": headers}
        return hand.client.options("/api/board", headers=asked).status_code

    assert preflight("GET", "if-none-match") == 200
    assert preflight("GET", "authorization") == 400
    assert preflight("PATCH") == 400
    assert preflight("PUT") == 400


def test_all_that_everyone_may_read_has_a_tag(hand, references):
    row = hand.published(make_predictions(references), split="toy/open")
    page = hand.client.get(f"/models/{row}").text
    picture = re.search(r'src="(/pictures/[^"]+)"', page)[1]
    paths = (
        "/robots.txt",
        "/sitemap.xml",
        "/sitemaps/0.xml",
        "/sitemaps/1.xml",
        "/api/splits",
        "/api/splits/toy/open/samples",
        f"/api/submissions/{row}",
        f"/api/submissions/{row}/samples.csv",
        f"/api/submissions/{row}/history",
        "/api/history?split=toy/open",
        picture,
    )
    tags = {path: hand.client.get(path).headers["etag"] for path in paths}
    for path, tag in tags.items():
        again = hand.client.get(path, headers={"if-none-match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), path
        head = hand.client.head(path)
        assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag), path
    hand.client.patch(
        f"/api/submissions/{row}", json={"metadata": {"model": "B", "training": "trained"}}, headers=hand.headers()
    )
    for path in (f"/api/submissions/{row}", "/api/history?split=toy/open"):
        assert hand.client.get(path, headers={"if-none-match": tags[path]}).status_code == 200


def test_what_only_its_owner_may_read_is_not_confirmed_to_others(hand, references):
    row = hand.submit(make_predictions(references))
    path = f"/api/submissions/{row}"
    tag = hand.client.get(path, headers=hand.headers()).headers["etag"]
    assert hand.client.get(path, headers={"if-none-match": tag}).status_code == 404
    assert "etag" not in hand.client.get("/sign-in").headers
    assert "etag" not in hand.client.get("/api/nothing").headers


def test_pages_say_that_they_answer_head(client):
    for path in ("/", "/scoring", "/feed.xml", "/api/board"):
        assert client.delete(path).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip;q=0", None),
        ("gzip;q=0, br;q=0", None),
        ("identity, *;q=0", None),
        ("gzip;q=0, br", "br"),
        ("gzip;q=0.5", "gzip"),
        ("*", "br"),
        ("deflate", None),
    ],
)
@pytest.mark.parametrize("path", ["/?split=toy/test", "/api/board.csv?split=toy/test", "/api/splits/toy/test/samples"])
def test_a_packing_that_is_refused_is_not_sent(client, many, path, accepted, taken):
    with client.stream("GET", path, headers={"accept-encoding": accepted}) as answer:
        sent = answer.headers.get("content-encoding")
        assert sent == taken or (taken == "br" and sent is None)  # only kept pages are packed by brotli
        vary = [name.strip() for name in answer.headers["vary"].split(",")]
        assert vary.count("Accept-Encoding") == 1
        for _ in answer.iter_raw():
            pass


def test_the_tag_of_a_file_does_not_outlive_the_process(client, many, settings, database):
    """Numbers of changes come again with other rows after a restore, and files have another form after an update."""
    path = "/api/board.csv?split=toy/test"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": tag}).status_code == 304
    with TestClient(create_app(settings, database)) as other:
        assert other.get(path, headers={"if-none-match": tag}).status_code == 200
