"""The table for programs: parts, filters, files, and what search engines ask for."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from markdown_it import MarkdownIt
from pylatexenc.latex2text import LatexNodes2Text

from leaderboard.board import BoardQuery
from leaderboard.exports import write_csv
from leaderboard.listing import Lister
from leaderboard.web.rendering import millions
from tests.leaderboard.listings import build_table, entry
from tests.leaderboard.toys import make_predictions

ROWS = 120


@pytest.fixture
def many(client, database):
    """Rows of the hidden split, best first by their names."""
    with database.write() as session:
        lister = Lister(session)
        for n in range(ROWS):
            training = ("trained", "zero-shot")[n % 2]
            one = entry(f"model-{n:014d}xx", 0.9 - n / 1000, published=n * 86_400.0, training=training, size=n + 1.0)
            lister.add(one.facts, one.record.model_dump(mode="json"))
    return [f"model-{n:014d}xx" for n in range(ROWS)]


def board(client, query=""):
    answer = client.get(f"/api/board?split=toy/test{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids_of(told):
    return [row["id"] for row in told["rows"]]


def test_the_board_comes_in_parts_with_its_total(client, many):
    first = board(client)
    assert (first["total"], first["limit"], first["offset"], ids_of(first)) == (ROWS, 50, 0, many[:50])
    assert ids_of(board(client, "&limit=7&offset=117")) == many[117:]
    assert board(client, "&offset=5000")["rows"] == []
    assert board(client, "&training=zero-shot&limit=1")["total"] == ROWS // 2
    assert ids_of(board(client, "&sort=size&limit=3")) == many[:-4:-1]
    assert ids_of(board(client, "&largest=2&ascending=true")) == many[1::-1]
    assert ids_of(board(client, "&search=11XX")) == [many[11], many[111]]


@pytest.mark.parametrize(
    "wrong", ["limit=0", "limit=501", "offset=-1", "sort=x", "largest=-1", "largest=nan", "search=a%00", "since=x"]
)
def test_wrong_parameters_are_refused(client, many, wrong):
    assert client.get(f"/api/board?split=toy/test&{wrong}").status_code == 422


def test_the_page_shows_fifty_rows_and_leads_to_the_others(client, many):
    seen = []
    address = "/?split=toy/test"
    while address:
        page = client.get(address).text
        seen += re.findall(r'href="/models/([^"]+)">', page)
        found = re.search(r'<a href="([^"]+)" rel="next">', page)
        address = found and found[1].replace("&amp;", "&")
        assert len(page) < 150_000
    assert seen == many
    beyond = client.get("/?split=toy/test&page=1000").text
    assert re.findall(r'href="/models/([^"]+)">', beyond) == many[100:]


def test_filters_and_orders_are_kept_from_page_to_page(client, many):
    page = client.get("/?split=toy/test&training=zero-shot&sort=size&search=model").text
    following = re.search(r'<a href="([^"]+)" rel="next">', page)[1].replace("&amp;", "&")
    assert re.findall(r'href="/models/([^"]+)">', client.get(following).text) == many[1::2][::-1][50:]


def test_files_have_all_chosen_rows_in_the_order_of_the_board(client, many):
    told = client.get("/api/board.csv?split=toy/test&training=trained&sort=date")
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert [row["id"] for row in rows] == many[::2][::-1]
    markdown = client.get("/api/board.md?split=toy/test&largest=3").text.splitlines()
    assert len(markdown) == 2 + 2 + 3
    assert markdown[4] == r"| 1 | model\-00000000000000xx | Team | 1 | **90.00** |"
    latex = client.get("/api/board.tex?split=toy/test").text
    assert latex.count(r"\\") == 2 + ROWS
    assert r"1 & model-00000000000000xx & Team & 1 & \textbf{90.00} \\" in latex


def test_names_are_text_in_every_file(client, database):
    evil = r"\input{x} | <b>&%$#_^~ `*[a](b)` {"
    with database.write() as session:
        one = entry("e" * 22, 0.5, team="=1+1")
        one.metadata["model"] = evil
        Lister(session).add(one.facts, one.record.model_dump(mode="json"))
    latex = client.get("/api/board.tex?split=toy/test").text
    assert (
        r"\textbackslash{}input\{x\} \textbar{} \textless{}b\textgreater{}\&\%\$\#\_\textasciicircum{}"
        r"\textasciitilde{} \textasciigrave{}*[a](b)\textasciigrave{} \{" in latex
    )
    row = client.get("/api/board.md?split=toy/test").text.splitlines()[-1]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6  # those between the cells
    assert not re.search(r"(?<!\\)[<`*\[]", row.replace("**50.00**", ""))
    assert "'=1+1" in client.get("/api/board.csv?split=toy/test").text


def listed(database, name, model="any", **facts):
    """Add a row to the listing."""
    with database.write() as session:
        one = entry(name, 0.5, **facts)
        one.metadata["model"] = model
        Lister(session).add(one.facts, one.record.model_dump(mode="json"))


@pytest.mark.parametrize("name", ["a--b", "---", "x''y", "``z''", "?`", "x,,y", "O'Brien", "100% & $x$ #1 _"])
def test_latex_prints_the_names_that_were_given(client, database, name):
    """Dashes, commas and quotation marks would be joined into other characters."""
    listed(database, "a" * 22, name)
    row = client.get("/api/board.tex?split=toy/test").text.splitlines()[-3]
    cell = re.match(r"1 & (.*) & Team &", row)[1]
    assert LatexNodes2Text().latex_to_text(cell) == name


@pytest.mark.parametrize("name", ["http://evil.example", "see WWW.evil.example", "https://evil.example/a_b"])
def test_no_name_becomes_a_link_in_markdown(client, database, name):
    listed(database, "a" * 22, name)
    page = MarkdownIt("gfm-like").render(client.get("/api/board.md?split=toy/test").text)
    assert "<a " not in page
    assert f"<td>{name}</td>" in page


def test_an_id_is_the_same_in_every_file(client, database):
    """One in 64 begins with a dash, which is no formula; what somebody chose is another matter."""
    name = "-" + "a" * 21
    listed(database, name, "＝1+1")
    (row,) = csv.DictReader(io.StringIO(client.get("/api/board.csv?split=toy/test").text))
    assert row["id"] == name == board(client)["rows"][0]["id"]
    assert row["model"] == "'＝1+1"
    text = "".join(write_csv(BoardQuery("toy/test"), (), [shown_as("=HYPERLINK(1)")]))
    assert text.splitlines()[1].endswith("'=HYPERLINK(1)")


def shown_as(name):
    (row,) = build_table([entry(name, 0.5)], BoardQuery("toy/test")).rows
    return row


@pytest.mark.parametrize("size", [1234567.5, 9_999_999.0, 0.000123456789, 123456.7])
def test_sizes_keep_their_digits_in_filters_and_files(client, database, size):
    """A filter that links round is another filter."""
    listed(database, "a" * 22, size=size)
    page = client.get(f"/?split=toy/test&largest={size!r}").text
    told = {float(value) for value in re.findall(r"largest=([^&\"]+)", page.replace("&amp;", "&"))}
    assert told == {size}
    assert float(re.search(r'name="largest"[^>]* value="([^"]+)"', page)[1]) == size
    for form in ("md", "tex"):
        text = client.get(f"/api/board.{form}?split=toy/test&largest={size!r}").text
        assert f" {size!r} ".replace(".0 ", " ") in text


@pytest.mark.parametrize(
    ("millions_of", "text"),
    [(999.4, "999 M"), (999.6, "1 B"), (9999.6, "10 B"), (999_600, "1 T"), (10_000_000, "10 T"), (0.5, "0.5 M")],
)
def test_sizes_are_written_in_words(millions_of, text):
    assert millions(millions_of) == text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("since=2026-02-30", "query.since: must be a day, such as 2026-01-31"),
        ("since=0000-00-00", "query.since: must be a day, such as 2026-01-31"),
        ("since=20260101", "query.since: must be a day, such as 2026-01-31"),
        ("largest=nan", "query.largest: input should be a finite number"),
        ("largest=0", "query.largest: input should be greater than 0"),
        ("training=x", "query.training: input should be '', 'trained', 'few-shot' or 'zero-shot'"),
        ("search=%E3%85%A4", "query.search: contains U+3164 (HANGUL FILLER), which shows nothing; leave it out"),
        ("search=a%00", "query.search: contains U+0000 (control character), which shows nothing; leave it out"),
    ],
)
def test_a_wrong_parameter_is_one_fault_in_plain_words(client, wrong, said):
    answer = client.get(f"/api/board?split=toy/test&{wrong}")
    assert (answer.status_code, answer.json()) == (422, {"error": said})


def test_empty_fields_of_the_form_are_no_filters(client, many):
    assert board(client, "&since=&largest=&search=&training=")["total"] == ROWS


def test_sitemaps_are_bounded_and_name_every_model(client, many, monkeypatch):
    monkeypatch.setattr("leaderboard.web.crawlers._MODELS", 50)
    index = ElementTree.fromstring(client.get("/sitemap.xml").text)
    addresses = [one.text for one in index.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert addresses == [f"http://testserver/sitemaps/{n}.xml" for n in range(4)]
    found = []
    for address in addresses[1:]:
        part = ElementTree.fromstring(client.get(address.removeprefix("http://testserver")).text)
        models = [one.text for one in part.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
        assert len(models) <= 50
        found += models
    assert sorted(found) == [f"http://testserver/models/{one}" for one in many]
    assert client.get("/sitemaps/4.xml").status_code == 404
    assert "<loc>http://testserver/?split=toy%2Ftest</loc>" in client.get("/sitemaps/0.xml").text
    robots = client.get("/robots.txt").text
    assert "Disallow: /api/\n" in robots
    assert robots.endswith("Sitemap: http://testserver/sitemap.xml\n")


def test_a_team_lists_all_its_submissions_part_by_part(hand, references):
    made = [hand.submit(make_predictions(references, seed), split="toy/open") for seed in range(3)]
    first = hand.client.get("/api/submissions?limit=2", headers=hand.headers())
    rest = hand.client.get("/api/submissions?limit=2&offset=2", headers=hand.headers())
    assert first.headers["x-total-count"] == rest.headers["x-total-count"] == "3"
    assert [one["id"] for one in [*first.json(), *rest.json()]] == made[::-1]


def test_json_of_a_part_says_what_was_asked(client, many):
    told = json.loads(client.get("/api/board?split=toy/test&sort=size&ascending=true&limit=1").text)
    assert (told["sort"], told["ascending"], told["rows"][0]["place"]) == ("size", True, 1)


@pytest.mark.parametrize(
    ("path", "said"), [("/sitemaps/7.xml", "no such sitemap"), ("/models/x/badge.svg", "no such submission")]
)
def test_what_is_missing_is_named(client, path, said):
    answer = client.get(path)
    assert answer.status_code == 404
    assert f"there is {said}" in answer.text


@pytest.mark.parametrize("path", ["/api/board", "/api/board.csv"])
def test_a_subset_that_no_row_has_is_named(hand, references, path):
    """An empty table would look like a group in which nobody has a score."""
    hand.published(make_predictions(references), split="toy/open")
    answer = hand.client.get(f"{path}?split=toy/open&subset=category: clas 1")
    assert answer.status_code == 404
    assert "unknown subset 'category: clas 1'; did you mean 'category: class 1'?" in answer.json()["error"]
    assert hand.client.get(f"{path}?split=toy/open&subset=category: class 1").status_code == 200
    assert hand.client.get(f"{path}?split=toy/test&subset=all").status_code == 200  # no rows at all
