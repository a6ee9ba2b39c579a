"""Badge, citation, feed, previews and the command that reads the board, with names that try to break out of them."""

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import bibtexparser
import pytest
from typer.testing import CliRunner

from earthreason.board_client import BoardClient
from earthreason.cli.main import app
from tests.leaderboard.test_submit import server as server
from tests.leaderboard.toys import METADATA, make_predictions

EVIL = r"""a"b'<script>&amp;]]> }, author={Eve} @misc{x, %{ \\ ~"""
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def rows(hand, references):
    """An open row with a hostile name, and a hidden one."""
    evil = {**METADATA, "model": EVIL, "description": "<b>&"}
    return (
        hand.published(make_predictions(references), split="toy/open", metadata=evil),
        hand.published(make_predictions(references, 1)),
    )


def test_the_feed_lists_the_newest_rows_and_follows_them(hand, rows):
    answer = hand.client.get("/feed.xml?split=toy/open")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    entry = ElementTree.fromstring(answer.text).findall(f"{ATOM}entry")
    assert [each.find(f"{ATOM}title").text for each in entry] == [EVIL]
    assert entry[0].find(f"{ATOM}link").get("href").endswith(f"/models/{rows[0]}")
    assert entry[0].find(f"{ATOM}summary").text == "<b>&"
    tag = answer.headers["etag"]
    assert hand.client.get("/feed.xml?split=toy/open", headers={"If-None-Match": tag}).status_code == 304
    hand.set(rows[0], "private")
    again = hand.client.get("/feed.xml?split=toy/open", headers={"If-None-Match": tag})
    assert ElementTree.fromstring(again.text).findall(f"{ATOM}entry") == []
    assert hand.client.get("/feed.xml?split=no/split").status_code == 404


def test_the_badge_shows_what_the_row_shows(hand, rows):
    for row, digits in zip(rows, (2, 0), strict=True):
        answer = hand.client.get(f"/models/{row}/badge.svg")
        assert answer.headers["content-type"].startswith("image/svg+xml")
        score = hand.get(row).json()["result"]["protocols"]["segearth-r1"]["scores"]["all"]["gIoU"][0]
        texts = [each.text for each in ElementTree.fromstring(answer.text).iter("{http://www.w3.org/2000/svg}text")]
        assert texts[1] == f"gIoU {100 * score:.{digits}f}"
    hand.set(rows[0], "withdrawn")
    for path in ("badge.svg", "cite.bib"):
        assert hand.client.get(f"/models/{rows[0]}/{path}").status_code == 404


def test_a_citation_is_one_entry_whatever_the_names_are(hand, rows):
    text = hand.client.get(f"/models/{rows[0]}/cite.bib").text
    parsed = bibtexparser.parse_string(text)
    assert parsed.failed_blocks == []
    (entry,) = parsed.entries
    fields = {field.key: field.value for field in entry.fields}
    assert (entry.entry_type, fields.keys()) == ("misc", {"title", "author", "year", "note", "url"})
    assert fields["author"] == "{Team Alpha}"
    assert fields["url"].endswith(f"/models/{rows[0]}")
    depth = 0
    for character in text.strip()[:-1]:  # as BibTeX counts braces
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 1  # the last brace closes the entry


def test_previews_are_text(hand, rows):
    page = hand.client.get(f"/models/{rows[0]}").text
    assert 'property="og:title" content="a&#34;b&#39;&lt;script&gt;' in page
    assert "<script>&" not in page
    hidden = hand.client.get(f"/models/{rows[1]}").text
    described = hidden.partition('og:description" content="')[2].partition('"')[0]
    assert described.startswith("toy/test: gIoU ")
    assert "." not in described  # whole per cent


def test_the_command_prints_the_rows_as_a_table_and_as_json(hand, rows, server, tmp_path):
    shown = CliRunner().invoke(app, ["board", "--server", server, "--split", "toy/test"])
    assert shown.exit_code == 0, shown.output
    assert "Model A" in shown.stdout
    score = hand.get(rows[1]).json()["result"]["protocols"]["segearth-r1"]["scores"]["all"]["gIoU"][0]
    assert f" {100 * score:.0f} " in shown.stdout
    file = tmp_path / "rows.json"
    done = CliRunner().invoke(app, ["board", "--server", server, "--split", "toy/open", "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert [row["model"] for row in json.loads(file.read_text())] == [EVIL]
    none = CliRunner().invoke(app, ["board", "--server", server, "--split", "toy/open", "--search", "nobody"])
    assert none.stdout.strip() == "no rows"
    wrong = CliRunner().invoke(app, ["board", "--server", server, "--split", "no/split"])
    assert "no/split" in str(wrong.exception)


@pytest.fixture
def five(hand, references):
    ids = []
    for seed in range(5):
        metadata = {**METADATA, "model": f"M{seed}"}
        ids.append(hand.published(make_predictions(references, seed), split="toy/open", metadata=metadata))
    return ids


def test_the_client_reads_all_parts(five, server, monkeypatch):
    monkeypatch.setattr("earthreason.board_client._ROWS", 2)
    names = [row["id"] for row in BoardClient(server).rows(split="toy/open", sort="date", ascending=True)]
    assert names == five
    assert [row["model"] for row in BoardClient(server).rows(split="toy/open", search="m3")] == ["M3"]


def test_a_frame_shows_what_the_row_shows_and_other_sites_may_have_it(hand, rows):
    for row, digits in zip(rows, (2, 0), strict=True):
        answer = hand.client.get(f"/models/{row}/embed")
        assert "frame-ancestors *" in answer.headers["content-security-policy"]
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        score = hand.get(row).json()["result"]["protocols"]["segearth-r1"]["scores"]["all"]["gIoU"][0]
        assert f"<strong>{100 * score:.{digits}f}</strong>" in answer.text
        assert "<script" not in answer.text
    assert "frame-ancestors 'none'" in hand.client.get(f"/models/{rows[0]}").headers["content-security-policy"]
    hand.set(rows[0], "private")
    assert hand.client.get(f"/models/{rows[0]}/embed").status_code == 404
    assert hand.client.get(f"/models/{rows[0]}/share").status_code == 404


class _Texts(HTMLParser):
    """Reads the text of every <pre>."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag, attributes):
        self._inside = tag == "pre"
        if self._inside:
            self.texts.append("")

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.texts[-1] += data


class _Frames(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.frames: list[dict[str, str | None]] = []

    def handle_starttag(self, tag, attributes):
        self.frames.append({"": tag, **dict(attributes)})


def test_what_to_paste_is_one_frame_one_picture_and_one_entry(hand, rows):
    page = hand.client.get(f"/models/{rows[0]}/share")
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    texts = _Texts()
    texts.feed(page.text)
    badge, frame, citation = texts.texts
    address = f"http://testserver/models/{rows[0]}"
    assert badge == f"[![EarthReason open]({address}/badge.svg)]({address})"
    pasted = _Frames()
    pasted.feed(frame)
    assert [(one[""], one["src"], one["title"]) for one in pasted.frames] == [("iframe", f"{address}/embed", EVIL)]
    assert bibtexparser.parse_string(citation).failed_blocks == []
    assert f"/models/{rows[0]}/share" in hand.client.get(f"/models/{rows[0]}").text
