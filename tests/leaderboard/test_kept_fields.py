"""Pages with several forms keep what was filled in after a fault, but only for those who may see them."""

import re

import pytest

from tests.leaderboard.people import Browser
from tests.leaderboard.test_pages import Form

LONG = "x" * 81


def fields_of(page):
    form = Form()
    form.feed(page)
    return form.values


@pytest.mark.parametrize(
    ("who", "path", "filled", "said"),
    [
        ("alpha", "/team/webhooks", {"url": 'http://example.org/"><b>'}, "web address"),
        ("alpha", "/team/webhooks", {"url": "ftp://example.org"}, "web address"),
        ("alpha", "/team/tokens", {"label": LONG}, "80 characters"),
        ("alpha", "/team/invitations", {"email": "no address", "role": "owner"}, "is not an e-mail address"),
        ("admin", "/admin/tokens", {"team": LONG}, "80 characters"),
        ("admin", "/admin/flags", {"submission": "A" * 22, "reason": "copied & pasted"}, "there is no"),
        ("admin", "/admin/flags", {"submission": "short", "reason": "copied"}, "there is no"),
    ],
)
def test_a_page_comes_again_with_what_was_filled_in(hand, who, path, filled, said):
    browser = Browser(hand.client.app).sign_in(hand.tokens[who])
    answer = browser.post(path, filled)
    assert 400 <= answer.status_code < 500
    assert said in re.search(r'role="alert">([^<]*)', answer.text)[1]
    kept = fields_of(answer.text)
    shown = {name: value for name, value in filled.items() if name != "email"}  # this board sends no e-mails
    assert {name: kept[name] for name in shown} == shown
    assert "role=" not in browser.get(path.rpartition("/")[0]).text.partition("<main")[2].partition("<h2")[0]


def test_who_may_not_see_a_page_gets_the_fault_only(hand):
    answer = Browser(hand.client.app).sign_in(hand.tokens["alpha"]).post("/admin/tokens", {"team": "x"})
    assert answer.status_code == 403
    assert "Organisers" not in answer.text


def test_a_body_of_an_unknown_sender_is_not_read_to_keep_its_fields(hand, monkeypatch):
    monkeypatch.setattr("starlette.requests.Request.form", lambda *_: pytest.fail("the form was read"))
    answer = Browser(hand.client.app).post("/team/webhooks", {"url": "x" * 1000})
    assert answer.status_code == 403
    assert "sign in again" in answer.text
