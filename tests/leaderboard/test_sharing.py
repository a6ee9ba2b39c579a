"""Badge, citation, feed, previews and the command that reads the board, with names that try to break out of them."""

import json
import threading
from datetime import datetime
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import bibtexparser
import pytest
from fastapi.testclient import TestClient
from pylatexenc.latex2text import LatexNodes2Text
from typer.testing import CliRunner

from earthreason.board_client import BoardClient, ServerError
from earthreason.cli.main import app
from earthreason.errors import EarthReasonError
from leaderboard.listing import Lister
from leaderboard.splits import get_split
from leaderboard.web.app import create_app
from tests.leaderboard.listings import entry
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


def test_citations_of_several_rows_fit_into_one_file(hand, references):
    """Versions of a model, and models whose names have no Latin letters, are still different entries."""
    names = ("Model A", "Model A", "Модель", "模型")
    texts = []
    for seed, name in enumerate(names):
        metadata = {**METADATA, "model": name}
        row = hand.published(make_predictions(references, seed), split="toy/open", metadata=metadata)
        texts.append(hand.client.get(f"/models/{row}/cite.bib").text)
    parsed = bibtexparser.parse_string("".join(texts))
    assert parsed.failed_blocks == []  # a repeated key is a failed block
    assert len(parsed.entries) == 4
    titles = [LatexNodes2Text().latex_to_text(entry.fields_dict["title"].value) for entry in parsed.entries]
    assert [title.partition(" on ")[0] for title in titles] == list(names)


def test_a_name_that_begins_with_a_command_keeps_its_capitals(hand, references):
    """BibTeX lowers capitals of a title inside a brace that a command follows at once."""
    row = hand.published(make_predictions(references), metadata={**METADATA, "model": "<Big>"})
    assert "title = {{{}" in hand.client.get(f"/models/{row}/cite.bib").text


def test_badge_and_citation_name_the_board_and_the_dataset(settings, database, hand, references):
    row = hand.published(make_predictions(references), split="toy/open")
    named = TestClient(create_app(settings.model_copy(update={"title": "Other & Board"}), database))
    with named as client:
        badge = ElementTree.fromstring(client.get(f"/models/{row}/badge.svg").text)
        texts = [each.text for each in badge.iter("{http://www.w3.org/2000/svg}text")]
        assert texts[0] == "Other & Board toy/open"
        assert "{Other \\& Board} leaderboard" in client.get(f"/models/{row}/cite.bib").text


def test_a_feed_without_rows_is_as_new_as_its_split(hand, database):
    with database.read() as session:
        created = get_split(session, "toy/open").created
    feed = ElementTree.fromstring(hand.client.get("/feed.xml?split=toy/open").text)
    updated = datetime.fromisoformat(feed.find(f"{ATOM}updated").text)
    assert abs(updated.timestamp() - created) < 1


@pytest.mark.parametrize("code", [0xFFFE, 0xFFFF, 0x01, 0x0B])
def test_no_name_makes_the_feed_unreadable(hand, references, database, code):
    """XML has no place for these characters; one row with such a name would take the feed from everybody."""
    metadata = {**METADATA, "model": f"a{chr(code)}"}
    assert hand.announce(make_predictions(references), split="toy/open", metadata=metadata).status_code == 422
    listed = entry("a" * 22, 0.5)
    listed.metadata["model"] = f"a{chr(code)}"  # as a row of an earlier version
    with database.write() as session:
        Lister(session).add(listed.facts, listed.record.model_dump(mode="json"))
    feed = ElementTree.fromstring(hand.client.get("/feed.xml?split=toy/test").text)
    assert [each.text for each in feed.iterfind(f"{ATOM}entry/{ATOM}title")] == ["a\ufffd"]


def test_previews_are_text(hand, rows):
    page = hand.client.get(f"/models/{rows[0]}").text
    assert 'property="og:title" content="a&#34;b&#39;&lt;script&gt;' in page
    assert "<script>&" not in page
    hidden = hand.client.get(f"/models/{rows[1]}").text
    described = hidden.partition('og:description" content="')[2].partition('"')[0]
    assert described.startswith("toy/test: gIoU ")
    assert "." not in described  # whole per cent
    table = hand.client.get("/?split=toy/open").text
    assert 'property="og:site_name" content="EarthReason leaderboard"' in table
    assert 'property="og:description" content="Scores with 95 % intervals of 1 model on toy/open"' in table


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
    assert badge == f"[![EarthReason toy/open]({address}/badge.svg)]({address})"
    pasted = _Frames()
    pasted.feed(frame)
    assert [(one[""], one["src"], one["title"]) for one in pasted.frames] == [("iframe", f"{address}/embed", EVIL)]
    assert bibtexparser.parse_string(citation).failed_blocks == []
    assert f"/models/{rows[0]}/share" in hand.client.get(f"/models/{rows[0]}").text


@pytest.fixture
def odd_server():
    """A server whose answer to everything is `.body`."""

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(self.server.body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


ROW = {"id": "a", "place": 1, "model": "m", "team": "t", "published": "2026-01-01", "decimals": None}


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"rows": None, "total": 1},
        {"rows": ["a"], "total": 1},
        {"split": "x", "rows": [{**ROW, "scores": {}}]},
        {"rows": [{**ROW, "scores": {"gIoU": 0.5}}], "total": 1},
        {"rows": [{**ROW, "scores": {"gIoU": [0.5]}, "place": "first"}], "total": 1},
    ],
)
def test_an_answer_of_another_form_is_one_line(odd_server, body):
    odd_server.body = body
    with pytest.raises(ServerError, match="answered in a form that this version does not know"):
        list(BoardClient(f"http://127.0.0.1:{odd_server.server_port}").rows())


def test_a_server_that_promises_rows_without_end_is_left(odd_server):
    odd_server.body = {"rows": [], "total": 1_000_000_000}
    assert list(BoardClient(f"http://127.0.0.1:{odd_server.server_port}").rows()) == []


@pytest.mark.parametrize("columns", ["30", "60", "200"])
def test_the_command_cuts_no_figure_and_shows_the_score_that_it_sorts_by(odd_server, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    scores = {name: [0.123456, None, None] for name in ("gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc", "Pr@0.9")}
    row = {**ROW, "model": "a-long-name-of-a-model" * 3, "place": 10, "scores": {**scores, "gIoU": [1.0, None, None]}}
    odd_server.body = {"rows": [row], "total": 1}
    server = f"http://127.0.0.1:{odd_server.server_port}"
    shown = CliRunner().invoke(app, ["board", "--server", server, "--sort", "Pr@0.9"])
    assert shown.exit_code == 0, shown.output
    first = next(line for line in shown.stdout.splitlines() if line.startswith("10"))
    assert first.split()[-7:] == ["100.00", *["12.35"] * 5, "2026-01-01"]
    assert "Pr@0.9" in shown.stdout


def test_the_command_has_every_filter_of_the_table(five, server, tmp_path):
    file = tmp_path / "rows.json"
    asked = ["board", "--server", server, "--split", "toy/open", "--json", str(file)]

    def models(*more):
        done = CliRunner().invoke(app, [*asked, *more])
        assert done.exit_code == 0, done.output
        return [row["model"] for row in json.loads(file.read_text())]

    assert models("--sort", "model") == ["M4", "M3", "M2", "M1", "M0"]
    assert models("--sort", "model", "--ascending") == ["M0", "M1", "M2", "M3", "M4"]
    assert models("--since", "9999-01-01") == []
    assert models("--largest", "0.5") == []
    assert len(models("--subset", "category: class 1")) == 5
    wrong = CliRunner().invoke(app, [*asked, "--subset", "category: none of these"])
    assert "unknown subset 'category: none of these'" in str(wrong.exception)


def test_rows_may_be_read_over_http_but_no_token_is_sent(odd_server):
    assert BoardClient("http://board.example", reads_only=True).server == "http://board.example"
    with pytest.raises(EarthReasonError, match="would send your token unencrypted"):
        BoardClient("http://board.example")
    seen = []
    odd_server.body = {"rows": [], "total": 0}
    handler = odd_server.RequestHandlerClass
    answer = handler.do_GET
    handler.do_GET = lambda self: (seen.append(self.headers.get("authorization")), answer(self))
    list(BoardClient(f"http://127.0.0.1:{odd_server.server_port}", "er_secret", reads_only=True).rows())
    assert seen == [None]


@pytest.mark.parametrize("many_at_the_end", [False, True])
def test_no_row_is_lost_when_others_leave_or_come_while_the_parts_are_fetched(monkeypatch, many_at_the_end):
    """After each part, rows in front are withdrawn or published; all that stay are read, and none twice."""
    monkeypatch.setattr("earthreason.board_client._ROWS", 10)
    names = [f"row {n}" for n in range(60)]
    leaving = iter([names[:3], [], names[5:9], names[20:25], [], names[25:45] if many_at_the_end else []])

    def ask(self, method, path):
        query = parse_qs(urlsplit(path).query)
        start = int(query["offset"][0])
        rows = [{**ROW, "id": name, "scores": {}} for name in names[start : start + 10]]
        answer = {"rows": rows, "total": len(names)}
        gone = next(leaving, [])
        names[:] = [*(["new"] if gone and "new" not in names else []), *(one for one in names if one not in gone)]
        return answer

    monkeypatch.setattr(BoardClient, "_ask", ask)
    read = [row["id"] for row in BoardClient("https://board.example").rows()]
    assert len(read) == len(set(read))
    assert {name for name in names if name != "new"} <= set(read)
