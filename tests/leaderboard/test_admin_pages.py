"""The organisers' page: what it shows and does, and for whom; and the commands and tables behind self-service."""

import re
import sqlite3

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from leaderboard.cli import app as program
from leaderboard.database import Database
from leaderboard.outgoing import queue_mail
from leaderboard.tables import Member, Split, Team, Token
from leaderboard.tokens import find_caller
from tests.leaderboard.people import BASE, Browser, board_with
from tests.leaderboard.toys import make_predictions


@pytest.fixture
def admin(hand, settings, database):
    with board_with(settings.model_copy(update={"base_url": BASE}), database) as (app, _):
        yield Browser(app).sign_in(hand.tokens["admin"])


def test_only_administrators_see_it(hand, admin):
    app = admin.client.app
    assert Browser(app).get("/admin").headers["location"] == "/sign-in"
    assert Browser(app).sign_in(hand.tokens["alpha"]).get("/admin").status_code == 403
    page = admin.get("/admin")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert admin.get("/team").headers["location"] == "/admin"
    assert 'href="/admin"' in admin.get("/mine").text


def test_it_shows_queue_disk_splits_teams_and_tokens(hand, admin, references):
    hand.submit(make_predictions(references))
    page = re.sub(r"<[^>]+>", " ", admin.get("/admin").text)
    assert re.search(r"Queue\s+1 waiting or running, the oldest for \d+ s", page)
    assert re.search(r"\d+\.\d MiB", page)
    assert "toy/test" in page
    assert "Team Alpha" in page
    hand.score()
    page = re.sub(r"<[^>]+>", " ", admin.get("/admin").text)
    assert re.search(r"Queue\s+0 waiting", page)
    assert "1 scored" in page


def test_closing_and_opening_a_split(hand, admin, references, database):
    assert admin.post("/admin/splits", {"split": "toy/test", "takes": "closed"}).status_code == 303
    assert hand.announce(make_predictions(references)).status_code == 403
    admin.post("/admin/splits", {"split": "toy/test", "takes": "open"})
    assert hand.announce(make_predictions(references)).status_code == 201
    assert admin.post("/admin/splits", {"split": "no/split", "takes": "open"}).status_code == 404
    with database.read() as session:
        assert not any(session.scalars(select(Split.closed)))


def test_flagging_leaves_a_trace_and_changes_the_public_row(hand, admin, references):
    row = hand.published(make_predictions(references))
    assert admin.post("/admin/flags", {"submission": row, "reason": "trained on <test>"}).status_code == 303
    assert admin.get("/api/board?split=toy/test").json()["rows"][0]["flag"] == "trained on <test>"
    assert "trained on &lt;test&gt;" in admin.get("/admin").text
    admin.post("/admin/flags", {"submission": row, "reason": ""})
    assert admin.get("/api/board?split=toy/test").json()["rows"][0]["flag"] is None
    history = hand.client.get(f"/api/submissions/{row}/history").json()
    assert [entry["action"] for entry in history][:2] == ["flagged", "flagged"]
    assert admin.post("/admin/flags", {"submission": "A" * 22, "reason": "x"}).status_code == 404


def test_tokens_are_made_rotated_and_revoked(hand, admin, database):
    fresh = admin.told("/admin/tokens", {"team": "New Team"})
    with database.read() as session:
        caller = find_caller(session, fresh)
        assert (caller.team, caller.is_admin) == ("New Team", False)
    rotated = admin.told("/admin/tokens/rotate", {"number": caller.token_id})
    with database.read() as session:
        assert find_caller(session, fresh) is None
        caller = find_caller(session, rotated)
    assert admin.post("/admin/tokens/revoke", {"number": caller.token_id}).status_code == 303
    with database.read() as session:
        assert find_caller(session, rotated) is None
    second = admin.told("/admin/tokens", {"scope": "admin"})
    with database.read() as session:
        assert find_caller(session, second).is_admin


@pytest.mark.parametrize("form", [{}, {"team": " "}, {"team": "Team Alpha", "scope": "admin"}])
def test_a_forgotten_name_hands_nobody_an_administrators_token(admin, database, form):
    with database.read() as session:
        before = session.scalar(select(func.count()).select_from(Token))
    answer = admin.post("/admin/tokens", form)
    assert answer.status_code == 422
    assert "name a team" in answer.text
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Token)) == before


NUMBERED = [
    "/team/members/remove",
    "/team/members/role",
    "/team/tokens/rotate",
    "/team/tokens/revoke",
    "/team/invitations/withdraw",
    "/team/webhooks/remove",
    "/admin/tokens/rotate",
    "/admin/tokens/revoke",
]


@pytest.mark.parametrize("path", NUMBERED)
@pytest.mark.parametrize("number", ["2147483648", "9223372036854775808", "9" * 40, "-1", "0", "x"])
def test_numbers_that_no_row_can_have_are_refused_with_a_sentence(hand, admin, path, number):
    token = "admin" if path.startswith("/admin") else "alpha"
    browser = admin if token == "admin" else Browser(admin.client.app).sign_in(hand.tokens[token])
    answer = browser.post(path, {"number": number, "role": "member"})
    assert answer.status_code == 422
    assert "number: input should be" in answer.text


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_flag_has_a_reason(hand, references, reason):
    row = hand.published(make_predictions(references))
    address, headers = f"/api/submissions/{row}/flag", hand.headers("admin")
    answer = hand.client.put(address, json={"reason": reason}, headers=headers)
    assert (answer.status_code, "leave it out to remove the flag" in answer.json()["error"]) == (422, True)
    assert hand.get(row).json()["flag"] is None


@pytest.mark.parametrize(("first", "second"), [("Earth Lab", "earth  LAB"), ("ÉCOLE", "école"), ("Ⅳ Lab", "iv lab")])
def test_names_that_nobody_can_tell_apart_are_one_team(admin, database, database_url, monkeypatch, first, second):
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("EARTHREASON_BOARD_BASE_URL", BASE)
    for name in (first, second):
        assert CliRunner().invoke(program, ["token", "create", name]).exit_code == 0
    assert f"invitation to {first};" in CliRunner().invoke(program, ["invite", second]).output
    new = admin.link_of("/admin/invitations")
    answer = Browser(admin.client.app).post("/join", {"link": new, "name": "Ada", "team": second})
    assert (answer.status_code, "there is a team called" in answer.text) == (409, True)
    with database.read() as session:
        assert first in session.scalars(select(Team.name)).all()
        assert second not in session.scalars(select(Team.name)).all()


def test_the_organisers_invite_owners_of_new_and_old_teams(hand, admin, database):
    new = admin.link_of("/admin/invitations")
    someone = Browser(admin.client.app)
    assert 'name="team"' in someone.get(f"/join?link={new}").text
    someone.told("/join", {"link": new, "name": "Ada", "team": "Adas"})
    with database.read() as session:
        alpha = session.scalar(select(Token.team_id).where(Token.team_id.is_not(None)).order_by(Token.id))
    old = admin.link_of("/admin/invitations", {"team_id": alpha})
    other = Browser(admin.client.app)
    other.told("/join", {"link": old, "name": "Bob", "team": "ignored"})
    with database.read() as session:
        found = [(m.name, m.team.name, m.role) for m in session.scalars(select(Member).order_by(Member.id))]
    assert found == [("Ada", "Adas", "owner"), ("Bob", "Team Alpha", "owner")]


# --- commands and tables ---------------------------------------------------------------------------------------------


def test_the_command_prints_a_link_that_makes_an_owner(hand, settings, database, database_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database_url)
    missing = CliRunner().invoke(program, ["invite"])
    assert "BASE_URL" in str(missing.exception)
    monkeypatch.setenv("EARTHREASON_BOARD_BASE_URL", BASE)
    done = CliRunner().invoke(program, ["invite", "Fresh Team"])
    assert done.exit_code == 0, done.exception
    link = re.search(rf"{BASE}/join\?link=([\w-]+)", done.stdout)[1]
    with board_with(settings, database) as (app, _):
        browser = Browser(app)
        browser.told("/join", {"link": link, "name": "Ada"})
        assert "Fresh Team" in browser.get("/team").text


def test_a_board_with_tokens_and_sign_ins_of_an_older_version_is_brought_up_to_date(tmp_path):
    file = tmp_path / "board.sqlite3"
    database = Database(f"sqlite:///{file}")
    database.migrate("0004")
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO teams (id, name, created) VALUES (1, 'Old Team', 0)")
        connection.execute("INSERT INTO tokens (id, team_id, sha256, scope, created) VALUES (7, 1, 'x', 'submit', 0)")
        connection.execute("INSERT INTO sign_ins (sha256, token_id, expires) VALUES ('y', 7, 9e9)")
    database.migrate()
    with database.read() as session:
        token = session.get(Token, 7)
        assert (token.team.name, token.label, token.member) == ("Old Team", "", None)
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("SELECT count(*) FROM sign_ins").fetchone() == (0,)


def test_health_of_messages_is_shown_to_the_organisers(admin, database):
    with database.write() as session:
        queue_mail(session, "ada@lab.example", "S", "t")
    assert "1 waiting, 0 given up" in admin.get("/admin").text
