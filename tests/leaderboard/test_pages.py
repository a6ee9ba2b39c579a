"""Pages: what they show, when they are drawn again, what they cost."""

import re

import pytest
from fastapi.testclient import TestClient

from leaderboard.web.app import create_app
from tests.leaderboard.toys import make_predictions


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
    from leaderboard.tokens import form_key
    from leaderboard.web.state import COOKIE

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
    sent = hand.client.post(
        "/submit", data=good, files={"predictions": make_predictions(references)}, follow_redirects=False
    )
    assert sent.status_code == 303
    assert hand.score() == 1


def test_a_board_without_a_split_says_what_to_do(database, settings):
    with TestClient(create_app(settings, database), raise_server_exceptions=False) as client:
        answer = client.get("/")
        assert answer.status_code == 400
        assert "python -m leaderboard split add" in answer.text


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
