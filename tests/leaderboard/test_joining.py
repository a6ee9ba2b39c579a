"""Links by e-mail and invitations, with a real mail server; and what attackers try with them."""

import re
import threading
import time
from email import message_from_bytes, policy

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from earthreason.errors import EarthReasonError
from leaderboard import notifier
from leaderboard.links import LinkError, create_link, find_link, use_link
from leaderboard.settings import settings_from
from leaderboard.tables import INVITATION, Link, Member, Outgoing
from leaderboard.tokens import hash_secret
from leaderboard.web.state import COOKIE
from tests.leaderboard.people import BASE, Browser, board_with, mail_server, mail_settings, only

MAIL = "ada@lab.example"


@pytest.fixture
def mailed(settings, database, board):
    """A board that sends e-mails to a server on loopback and lets strangers sign up: application, send, mailbox."""
    with mail_server() as (controller, box):
        chosen = mail_settings(settings, controller.port, open_sign_up=True)
        with board_with(chosen, database) as (app, send):
            yield app, send, box


def sign_up(app, send, box, email=MAIL, team="Ada's Lab", name="Ada"):
    browser = Browser(app)
    assert browser.post("/sign-in/email", {"email": email}).status_code == 200
    send()
    joined = browser.post("/join", {"link": box.link(), "team": team, "name": name})
    assert (joined.status_code, joined.headers.get("location")) == (303, "/team"), joined.text
    return browser


# --- what it is for --------------------------------------------------------------------------------------------------


def test_a_stranger_signs_up_by_mail_creates_a_token_and_submits(mailed, references):
    app, send, box = mailed
    browser = sign_up(app, send, box)
    message = message_from_bytes(box.envelopes[0].content, policy=policy.default)
    assert (message["To"], message["From"].addresses[0].addr_spec) == (MAIL, "board@board.test")
    assert message["Auto-Submitted"] == "auto-generated"
    assert f"{BASE}/join?link=" in message.get_content()
    page = browser.get("/team").text
    assert "Ada&#39;s Lab" in page
    assert MAIL in page
    token = browser.told("/team/tokens", {"label": "cluster"})
    listed = browser.client.get("/api/submissions", headers={"Authorization": f"Bearer {token}"})
    assert (listed.status_code, listed.json()) == (200, [])
    again = Browser(app)  # later, in another browser: a member signs in without naming the team
    again.post("/sign-in/email", {"email": MAIL.upper()})
    send()
    page = again.get(f"/join?link={box.link()}").text
    assert "signs you in as <strong>Ada</strong>" in page
    assert 'name="team"' not in page
    assert again.post("/join", {"link": box.link()}).headers["location"] == "/team"
    assert again.get("/mine").status_code == 200


def test_an_owner_invites_by_mail_and_by_link_and_members_cannot(mailed):
    app, send, box = mailed
    owner = sign_up(app, send, box)
    assert owner.post("/team/invitations", {"email": "bob@lab.example", "role": "member"}).status_code == 303
    send()
    assert box.envelopes[-1].rcpt_tos == ["bob@lab.example"]
    bob = Browser(app)
    assert "invited to the team <strong>Ada&#39;s Lab</strong>" in bob.get(f"/join?link={box.link()}").text
    assert bob.post("/join", {"link": box.link(), "name": "Bob"}).headers["location"] == "/team"
    assert bob.post("/team/invitations", {}).status_code == 403
    assert bob.post("/team/webhooks", {"url": "https://example.org/"}).status_code == 403
    link = owner.link_of("/team/invitations", {"role": "owner"})
    eve = Browser(app)
    token = eve.told("/join", {"link": link, "name": "Eve"})
    assert token.startswith("er_")
    assert eve.get("/team").status_code == 200
    later = Browser(app).sign_in(token)
    assert later.post("/team/invitations", {}).status_code == 200  # she is an owner
    members = re.findall(r'<th scope="row" class="model">([A-Z]\w+)', owner.get("/team").text)
    assert members == ["Ada", "Bob", "Eve"]


def test_removing_a_member_ends_its_sign_ins_tokens_and_links(mailed, database):
    app, send, box = mailed
    owner = sign_up(app, send, box)
    link = owner.link_of("/team/invitations", {"role": "member"})
    bob = Browser(app)
    joined = bob.told("/join", {"link": link, "name": "Bob"})
    other = bob.told("/team/tokens", {"label": "x"})
    by_token = Browser(app).sign_in(other)
    with database.read() as session:
        number = session.scalar(select(Member.id).where(Member.name == "Bob"))
        ada = session.scalar(select(Member.id).where(Member.name == "Ada"))
    assert bob.post("/team/members/remove", {"number": ada}).status_code == 403
    assert owner.post("/team/members/remove", {"number": ada}).status_code == 409  # the last owner
    assert owner.post("/team/members/role", {"number": ada, "role": "member"}).status_code == 409
    assert owner.post("/team/members/remove", {"number": number}).status_code == 303
    for browser in (bob, by_token):
        assert browser.get("/team").headers["location"] == "/sign-in"
    for token in (joined, other):
        answer = owner.client.get("/api/submissions", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


def test_rotating_a_token_ends_the_old_one_at_once(hand, settings, database):
    with board_with(settings, database) as (app, _):
        browser = Browser(app).sign_in(hand.tokens["alpha"])
        other = Browser(app).sign_in(hand.tokens["alpha"])
        number = re.search(r'(\d+) <span class="badge">this sign-in', browser.get("/team").text)[1]
        fresh = browser.told("/team/tokens/rotate", {"number": number})
        assert fresh != hand.tokens["alpha"]
        for each in (browser, other):
            assert each.get("/team").headers["location"] == "/sign-in"
        assert hand.client.get("/api/submissions", headers=hand.headers()).status_code == 401
        again = Browser(app).sign_in(fresh)
        assert again.get("/mine").status_code == 200
        assert again.post("/team/tokens/rotate", {"number": number}).status_code == 404  # revoked already


def test_signing_out_everywhere_ends_the_sign_ins_of_all_browsers(hand, settings, database):
    with board_with(settings, database) as (app, _):
        one, two, beta = (Browser(app).sign_in(hand.tokens[team]) for team in ("alpha", "alpha", "beta"))
        assert one.post("/team/sign-out-everywhere").status_code == 303
        assert [each.get("/team").status_code for each in (one, two, beta)] == [303, 303, 200]


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_link_works_once_also_when_two_use_it_at_once(database, board):
    with database.write() as session:
        secret = create_link(session, INVITATION)
    with database.read() as session:
        two = [find_link(session, secret, (INVITATION,)) for _ in range(2)]
    with database.write() as session:
        use_link(session, two[0])
    with database.write() as session, pytest.raises(LinkError):
        use_link(session, two[1])
    with database.read() as session, pytest.raises(LinkError):
        find_link(session, secret, (INVITATION,))


def test_used_expired_and_unknown_links_look_alike_and_guesses_are_counted(mailed, database):
    app, send, box = mailed
    browser = sign_up(app, send, box)
    used = box.link()
    expired = browser.link_of("/team/invitations", {"role": "member"})
    with database.write() as session:
        old = update(Link).where(Link.sha256 == hash_secret(expired))
        session.execute(old.values(expires=time.time() - 1))
    stranger = Browser(app)
    answers = [stranger.get(f"/join?link={one}") for one in (used, expired, "x" * 43)]
    assert {answer.status_code for answer in answers} == {410}
    assert len({answer.text for answer in answers}) == 1
    posted = [stranger.post("/join", {"link": one, "name": "Eve", "team": "Eves"}) for one in (used, expired)]
    assert [answer.status_code for answer in posted] == [410, 410]
    assert "set-cookie" not in posted[0].headers
    assert 429 in [stranger.get(f"/join?link={n:043}").status_code for n in range(25)]


def test_opening_a_link_as_mail_scanners_do_uses_nothing_up(mailed):
    app, send, box = mailed
    browser = Browser(app)
    browser.post("/sign-in/email", {"email": MAIL})
    send()
    for _ in range(3):
        opened = Browser(app).get(f"/join?link={box.link()}")
        assert opened.status_code == 200
        assert COOKIE not in opened.headers.get("set-cookie", "")
        assert opened.headers["cache-control"] == "no-store"
        assert opened.headers["referrer-policy"] == "same-origin"  # so the link is told to no other site
    assert browser.post("/join", {"link": box.link(), "team": "T", "name": "Ada"}).status_code == 303


def test_a_link_keeps_working_after_a_form_with_a_fault(mailed):
    app, send, box = mailed
    browser = Browser(app)
    browser.post("/sign-in/email", {"email": MAIL})
    send()
    taken = browser.post("/join", {"link": box.link(), "team": "team alpha", "name": "Ada <b>"})
    assert taken.status_code == 409
    assert "already" in taken.text
    assert 'value="Ada &lt;b&gt;"' in taken.text
    assert browser.post("/join", {"link": box.link(), "team": "Own", "name": "\u3164"}).status_code == 400
    assert browser.post("/join", {"link": box.link(), "team": "Own", "name": "Ada"}).status_code == 303


def test_links_are_in_no_log(mailed, caplog):
    app, send, box = mailed
    with caplog.at_level("DEBUG"):
        sign_up(app, send, box)
    logged = "".join(
        f"{record.getMessage()} {getattr(record, 'facts', '')}"
        for record in caplog.records
        if record.name == "leaderboard"
    )
    assert "/join" in logged
    assert box.link() not in logged


def test_only_hashes_of_links_are_stored_and_the_text_goes_when_it_is_sent(mailed, database):
    app, send, box = mailed
    Browser(app).post("/sign-in/email", {"email": MAIL})
    send()
    with database.read() as session:
        stored = session.scalars(select(Link)).one()
        assert stored.sha256 == hash_secret(box.link())
        assert box.link() not in str([stored.details, stored.browser])
        assert session.scalars(select(Outgoing)).one().body == {}


# --- the mail server -------------------------------------------------------------------------------------------------


def test_mails_wait_while_the_server_is_away_and_are_sent_later(settings, database, board, monkeypatch):
    monkeypatch.setattr("leaderboard.outgoing.RETRY_SECONDS", (0.0,) * 3)
    with mail_server() as (controller, _):
        port = controller.port
    with board_with(mail_settings(settings, port, open_sign_up=True), database) as (app, send):
        Browser(app).post("/sign-in/email", {"email": MAIL})
        assert send() == 4
        with database.read() as session:
            row = session.scalars(select(Outgoing)).one()
            assert (row.state, row.attempts, row.body) == ("given up", 4, {})
            assert "Refused" in row.outcome


def test_a_message_at_which_the_program_fails_keeps_no_other_back(mailed, monkeypatch, database):
    app, send, box = mailed
    send_mail = notifier.send_mail

    def fail_once(settings, message):
        monkeypatch.setattr(notifier, "send_mail", send_mail)
        raise KeyError("subject")

    monkeypatch.setattr(notifier, "send_mail", fail_once)
    for address in (MAIL, "bob@lab.example"):
        Browser(app).post("/sign-in/email", {"email": address})
    send()
    assert [envelope.rcpt_tos for envelope in box.envelopes] == [["bob@lab.example"]]
    with database.read() as session:
        outcomes = {row.address: (row.state, row.outcome) for row in session.scalars(select(Outgoing))}
    assert outcomes[MAIL] == ("waiting", "a fault of the board: KeyError")


def test_the_threads_that_send_outlive_an_error_that_nobody_foresaw(settings, database, board, monkeypatch):
    monkeypatch.setattr(notifier, "_LONG_PAUSE", 0.01)
    calls, stop = [], threading.Event()

    def run_once(self, *, mail):
        calls.append(mail)
        if calls.count(True) > 3:
            stop.set()
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(notifier.Notifier, "run_once", run_once)
    notifier.Notifier(database, settings, stop).run()
    assert calls.count(True) > 3


def test_a_link_is_not_sent_after_it_has_expired(mailed, database):
    app, send, box = mailed
    Browser(app).post("/sign-in/email", {"email": MAIL})
    with database.write() as session:
        row = session.scalars(select(Outgoing)).one()
        assert row.body["until"] == pytest.approx(time.time() + 1800, abs=60)
        row.body = {**row.body, "until": time.time() - 1}
    send()
    assert box.envelopes == []
    with database.read() as session:
        row = session.scalars(select(Outgoing)).one()
        assert (row.state, row.body, row.outcome) == ("given up", {}, "not sent before its link expired")


def test_a_server_with_a_password_and_one_without_encryption(settings, database, board):
    secret = SecretStr("right")
    login = {"auth_required": True, "auth_require_tls": False, "authenticator": only("board", "right")}
    with mail_server(**login) as (controller, box):
        chosen = mail_settings(settings, controller.port, open_sign_up=True, smtp_user="board", smtp_password=secret)
        with board_with(chosen, database) as (app, send):
            Browser(app).post("/sign-in/email", {"email": MAIL})
            send()
            assert len(box.envelopes) == 1
        plain = chosen.model_copy(update={"smtp_security": "starttls"})
        with board_with(plain, database) as (app, send):  # the server does not offer it: nothing may leave in the clear
            Browser(app).post("/sign-in/email", {"email": "bob@lab.example"})
            send()
            assert len(box.envelopes) == 1
    assert "right" not in repr(chosen)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"SMTP_HOST": "m"}, "MAIL_FROM and EARTHREASON_BOARD_BASE_URL"),
        ({"GITHUB_CLIENT_ID": "x", "BASE_URL": BASE}, "GITHUB_CLIENT_SECRET"),
        ({"SMTP_USER": "x"}, "SMTP_PASSWORD"),
    ],
)
def test_settings_that_lack_a_part_are_refused_by_name(given, missing):
    with pytest.raises(EarthReasonError, match=missing):
        settings_from({f"EARTHREASON_BOARD_{name}": value for name, value in given.items()})
