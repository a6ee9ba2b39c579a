"""Pages: what they show, when they are drawn again, what they cost."""

import json
import re
from html.parser import HTMLParser
from unittest.mock import AsyncMock

import pytest
from fastapi.testclient import TestClient

from leaderboard.tokens import form_key
from leaderboard.web.app import create_app
from leaderboard.web.rendering import pretty_json
from leaderboard.web.state import COOKIE
from tests.leaderboard.toys import make_predictions, sign_in


@pytest.fixture
def ids(hand, references):
    made = []
    for n, (noise, training) in enumerate(((0.3, "trained"), (0.05, "zero-shot"), (0.06, "zero-shot"))):
        metadata = {"model": f"M{n}", "training": training}
        made.append(hand.published(make_predictions(references, n, noise), split="toy/open", metadata=metadata))
    return made


def models(page):
    return re.findall(r'<a href="/models/[^"]+">(\w+)</a>', page.text)


def test_the_table_sorts_by_its_links_without_a_script(hand, ids):
    page = hand.client.get("/?split=toy/open")
    assert models(page)[0] in ("M1", "M2")
    assert models(page)[2] == "M0"
    link = re.search(r'<a href="([^"]+)">cIoU</a>', page.text).group(1).replace("&amp;", "&")
    turned = hand.client.get(link + "&ascending=true")
    assert models(turned)[0] == "M0"
    assert 'aria-sort="ascending"' in turned.text


def test_the_model_column_says_which_way_it_is_sorted_and_filters_keep_it(hand, ids):
    page = hand.client.get("/?split=toy/open")
    link = re.search(r'<a href="([^"]+)">Model</a>', page.text).group(1).replace("&amp;", "&")
    sorted_page = hand.client.get(link)
    assert models(sorted_page) == ["M0", "M1", "M2"]
    assert re.search(r'<th[^>]*aria-sort="ascending"><a [^>]*>Model</a>', sorted_page.text)
    assert '<input type="hidden" name="ascending" value="true">' in sorted_page.text
    link = re.search(r'<a href="([^"]+)">Model</a>', sorted_page.text).group(1).replace("&amp;", "&")
    turned = hand.client.get(link)
    assert models(turned) == ["M2", "M1", "M0"]
    assert re.search(r'<th[^>]*aria-sort="descending"><a [^>]*>Model</a>', turned.text)


def test_filters_choose_rows(hand, ids):
    assert set(models(hand.client.get("/?split=toy/open&training=zero-shot"))) == {"M1", "M2"}
    assert models(hand.client.get("/?split=toy/open&since=2100-01-01")) == []
    assert len(models(hand.client.get("/?split=toy/open&subset=category: class 1"))) == 3
    assert hand.client.get("/?split=toy/open&training=often").status_code == 422


def test_ties_are_told_in_words(hand, ids):
    page = hand.client.get("/?split=toy/open").text
    assert page.count('<span class="badge tie"') == 1


def test_a_page_is_kept_until_something_public_changes(hand, ids, monkeypatch):
    drawn = []
    from leaderboard.web import pages

    real = pages.draw
    monkeypatch.setattr(pages, "draw", lambda *given, **values: drawn.append(given[0]) or real(*given, **values))
    first = hand.client.get("/?split=toy/open")
    for made_up in ("", "&x=1", "&x=2", "&utm_source=y"):
        assert hand.client.get(f"/?split=toy/open{made_up}").text == first.text
    assert drawn == ["board.html"]
    assert hand.client.get("/?split=toy/open", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    hand.set(ids[0], "private")
    assert "M0" not in models(hand.client.get("/?split=toy/open"))
    assert len(drawn) == 2


@pytest.mark.parametrize("absent", ["x" * 1000, "{n:022d}"])
def test_addresses_that_are_made_up_leave_nothing_behind(client, absent):
    """Neither those that cannot be ids nor those that nobody has: what is drawn for them ends as a fault."""
    board = client.app.state.board.board
    for n in range(20):
        one, other = absent.format(n=n), absent.format(n=n + 1000) + "y" * (len(absent) > 30)
        assert client.get(f"/models/{one}").status_code == 404
        assert client.get(f"/compare?ids={one}&ids={other}").status_code == 404
    assert not board._drawing
    assert not board._pages


def test_a_change_of_one_row_leaves_the_pages_of_others_as_they_are(hand, references, ids, monkeypatch):
    drawn = []
    from leaderboard.web import pages

    real = pages.draw
    monkeypatch.setattr(pages, "draw", lambda *given, **values: drawn.append(given[0]) or real(*given, **values))
    paths = [f"/models/{ids[1]}", f"/compare?ids={ids[1]}&ids={ids[2]}", "/?split=toy/test", "/scoring"]
    for path in paths:
        assert hand.client.get(path).status_code == 200
    hand.set(ids[0], "private")
    del drawn[:]
    for path in paths:
        hand.client.get(path)
    assert drawn == []
    assert hand.client.get(f"/models/{ids[0]}").status_code == 404
    assert set(models(hand.client.get("/?split=toy/open"))) == {"M1", "M2"}
    assert drawn == ["board.html"]


def test_either_order_of_two_models_is_one_computation(hand, ids, monkeypatch):
    from leaderboard.web import views

    computed = []
    real = views.compare_details
    monkeypatch.setattr(views, "compare_details", lambda *given, **more: computed.append(1) or real(*given, **more))

    def figures(first, second):
        page = hand.client.get(f"/compare?ids={first}&ids={second}").text
        better, worse = re.search(r"IoU: (\d+) better, \d+ equal, (\d+) worse", page).groups()
        row = re.search(r"gIoU \(.*?<td>([+-][\d.]+)</td><td[^>]*>([+-][\d.]+) to ([+-][\d.]+)</td><td>([^<]*)<", page)
        return int(better), int(worse), *map(float, row.groups()[:3]), row[4]

    one, other = figures(ids[0], ids[1]), figures(ids[1], ids[0])
    assert one == (other[1], other[0], -other[2], -other[4], -other[3], other[5])
    assert len(computed) == 1


def test_many_different_pages_are_refused_and_kept_pages_are_not(settings, database, board, monkeypatch):
    few = settings.model_copy(update={"drawing_seconds": 0.01, "drawing_share": 1e-6})
    with TestClient(create_app(few, database), raise_server_exceptions=False) as client:
        client.app.state.board.drawing._pause = 0.0
        home = client.get("/?split=toy/open")
        assert home.status_code == 200
        refused = [client.get(f"/?split=toy/open&search=x{n}") for n in range(20)][-1]
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 1
        assert "too many different pages" in refused.text
        assert client.get("/api/board.csv?split=toy/open").status_code == 429
        assert client.get("/?split=toy/open").text == home.text
        monkeypatch.setattr("leaderboard.web.cache.client_of", lambda request: "203.0.113.9")
        assert client.get("/?split=toy/open&search=y").status_code == 200


def test_hiding_and_publishing_without_end_is_refused(hand, ids, monkeypatch):
    pauses = []
    monkeypatch.setattr("leaderboard.web.state.anyio.sleep", AsyncMock(side_effect=pauses.append))
    budgets = hand.client.app.state.board.row_changes
    budgets.rate = 1e-6  # however slow this machine is
    budgets._left.clear()
    answers = [hand.set(ids[0], ("private", "public")[n % 2]).status_code for n in range(35)]
    assert answers == [200] * 30 + [429] * 5
    refused = hand.set(ids[0], "private")
    assert int(refused.headers["retry-after"]) >= 1
    assert pauses == [1.0] * 6
    cookie = sign_in(hand)
    key = form_key(cookie.partition("=")[2])
    form = {"key": key, "visibility": "private"}
    assert hand.client.post(f"/mine/{ids[1]}", data=form, headers={"cookie": cookie}).status_code == 429


def test_comparing_takes_two_to_four_public_models_of_one_split(hand, references, ids):
    assert hand.client.get(f"/compare?ids={ids[0]}").status_code == 400
    assert hand.client.get("/compare?" + "&".join(f"ids={one}" for one in [*ids, "a", "b"])).status_code == 400
    other = hand.published(make_predictions(references), split="toy/test")
    assert hand.client.get(f"/compare?ids={ids[0]}&ids={other}").status_code == 400
    page = hand.client.get(f"/compare?ids={ids[0]}&ids={ids[1]}")
    assert re.search(r"gIoU \(.*more than chance", page.text)
    assert re.search(r"T-acc \(.*>\+0\.00<.*>1\.000<.*may be chance", page.text)  # no file has an empty mask
    assert hand.client.get(f"/compare?ids={ids[0]}&ids={ids[1]}&protocol=lisa").status_code == 200


def test_the_owner_sees_a_private_model_page_and_nobody_keeps_it(hand, references):
    submission_id = hand.submit(make_predictions(references), split="toy/open")
    hand.score()
    hand.client.post("/sign-in", data={"token": hand.tokens["alpha"]})
    page = hand.client.get(f"/models/{submission_id}")
    assert "Only you see this page" in page.text
    assert page.headers["cache-control"] == "no-store"
    hand.client.cookies.clear()
    assert hand.client.get(f"/models/{submission_id}").status_code == 404


def test_a_form_with_a_fault_says_what_it_is(hand, references):
    hand.client.post("/sign-in", data={"token": hand.tokens["alpha"]})
    key = form_key(hand.client.cookies[COOKIE])
    good = {"key": key, "split": "toy/open", "model": "M", "training": "trained"}
    for change, said in (
        ({"paper": "javascript:x"}, "paper"),
        ({"parameters": "many"}, "not a number"),
        ({"card": "{"}, "card: not JSON"),
        ({"split": "no/split"}, "unknown split"),
    ):
        answer = hand.client.post(
            "/submit", data={**good, **change}, files={"predictions": make_predictions(references)}
        )
        assert 400 <= answer.status_code < 500
        assert said in answer.text
        assert 'role="alert"' in answer.text
    sent = hand.client.post(
        "/submit", data=good, files={"predictions": make_predictions(references)}, follow_redirects=False
    )
    assert sent.status_code == 303
    assert hand.score() == 1


FIELDS = {
    "model": 'A "model" <b>',
    "training": "few-shot",
    "paper": "https://example.org/p",
    "code": "https://example.org/c",
    "checkpoint": "https://example.org/w",
    "parameters": "12.5",
    "backbone": "Swin & co",
    "extra_data": "none",
    "description": "\nFirst line\nsecond </textarea> line",
    "contact": "me@example.org",
    "card": '{"a": 1}',
    "split": "toy/open",
}


@pytest.mark.parametrize(
    "fault",
    [
        {"paper": "ftp://x"},
        {"parameters": "many"},
        {"card": "{"},
        {"model": "x" * 5000},
        {"model": "\u3164"},
        {"training": ""},
        {"split": "no/split"},
        {"predictions": b""},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_a_form_keeps_its_fields_after_a_fault(hand, references, fault):
    cookie = sign_in(hand)
    content = fault.get("predictions", make_predictions(references))
    fields = {**FIELDS, **{name: value for name, value in fault.items() if name != "predictions"}}
    answer = hand.client.post(
        "/submit",
        data={**fields, "key": form_key(cookie.partition("=")[2])},
        files={"predictions": ("p.json", content)},
        headers={"cookie": cookie},
    )
    assert 400 <= answer.status_code < 500
    form = Form()
    form.feed(answer.text)
    for name, value in fields.items():
        if name not in fault or name not in ("training", "split"):  # no option has what was sent
            assert form.values[name] == value, name
    told = re.search(r'role="alert">([^<]*)', answer.text)[1]
    assert "Nothing was submitted" in told
    assert "string should match" not in told.lower() or "paper" in fault


class Form(HTMLParser):
    """Reads a form as a browser does."""

    def __init__(self):
        super().__init__()
        self.values, self._name, self._area = {}, None, None

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "input":
            self.values[given.get("name")] = given.get("value", "")
        elif tag == "select":
            self._name = given["name"]
        elif tag == "option" and "selected" in given:
            self.values[self._name] = given["value"]
        elif tag == "textarea":
            self._area = given["name"]
            self.values[self._area] = ""

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = None

    def handle_data(self, data):
        if self._area:
            self.values[self._area] += data


def test_a_wrong_token_is_answered_by_the_form_without_the_token(client):
    answer = client.post("/sign-in", data={"token": "er_wrong-token"})
    assert answer.status_code == 401
    assert 'name="token"' in answer.text
    assert "unknown or revoked" in answer.text
    assert "er_wrong-token" not in answer.text


def test_own_submissions_come_in_pages(hand, references, monkeypatch):
    monkeypatch.setattr("leaderboard.web.team_pages.PAGE_ROWS", 2)
    made = [hand.submit(make_predictions(references, seed), split="toy/open") for seed in range(3)]
    hand.score()
    cookie = {"cookie": sign_in(hand)}
    first, second = (hand.client.get(f"/mine?page={n}", headers=cookie).text for n in (1, 2))
    assert re.findall(r'<tr id="([^"]+)"', first + second) == made[::-1]
    assert 'href="/mine?page=2"' in first
    score = hand.get(made[0]).json()["result"]["protocols"]["segearth-r1"]["scores"]["all"]["gIoU"][0]
    assert f">{100 * score:.2f}</td>" in second


def test_a_board_without_a_split_says_what_to_do(database, settings):
    with TestClient(create_app(settings, database), raise_server_exceptions=False) as client:
        answer = client.get("/")
        assert answer.status_code == 400
        assert "earthreason-leaderboard split add" in answer.text


def test_the_api_page_tells_every_call(client):
    page = client.get("/api").text
    described = client.get("/api/openapi.json").json()["paths"]
    assert len(described) >= 12
    assert all(path in page for path in described)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_page_shows_a_placeholder_and_scores_of_few_images_say_why_they_have_no_interval(hand, ids):
    """Four of the 40 images have no target, so N-acc and FP area have no interval."""
    for path in ("/?split=toy/open", f"/models/{ids[0]}", f"/compare?ids={ids[0]}&ids={ids[1]}"):
        page = re.sub("<[^>]*>", " ", hand.client.get(path).text)
        assert not re.findall(r"\b(?:None|nan|NaN|null|undefined)\b", page), path
        assert "fewer than 10 images" in page, path


def test_a_card_shows_every_character_that_it_has():
    card = {"a\u202eb": "x\u3164", "z": "\U000e0041é模\n"}
    shown = pretty_json(card)
    assert r"a\u202eb" in shown
    assert r"x\u3164" in shown
    assert r"\udb40\udc41é模\n" in shown
    assert json.loads(shown) == card  # the form that edits it gets the same text
