"""What attackers try with links by e-mail, invitations and the forms of teams and organisers."""

import re

import pytest
from sqlalchemy import func, select

from earthreason.errors import EarthReasonError
from leaderboard.links import E_MAIL, create_link
from leaderboard.mail import make_email
from leaderboard.members import add_member, check_email, create_team
from leaderboard.outgoing import Message
from leaderboard.submissions import RefusedError
from leaderboard.tables import Link, Member, Outgoing, SignIn, Team, Token, Webhook
from leaderboard.tokens import hash_secret, rotate_token
from leaderboard.web.state import COOKIE
from tests.leaderboard.people import BASE, Browser, board_with, mail_server, mail_settings
from tests.leaderboard.test_joining import MAIL, sign_up
from tests.leaderboard.test_joining import mailed as mailed


def test_nothing_tells_whether_an_address_is_known(settings, database, board):
    """Page, status and stored rows are the same; only the mailbox knows."""
    with mail_server() as (controller, box), board_with(mail_settings(settings, controller.port), database) as got:
        app, send = got
        with database.write() as session:
            add_member(session, create_team(session, "Known"), "Ada", "owner", email=MAIL)
        answers, rows = [], []
        for address in (MAIL, "eve@lab.example"):
            answer = Browser(app).post("/sign-in/email", {"email": address})
            answers.append((answer.status_code, answer.text.replace(address, "ADDRESS"), dict(answer.headers)))
            with database.read() as session:
                counts = [session.scalar(select(func.count()).select_from(table)) for table in (Link, Outgoing)]
            rows.append(counts)
        for answer in answers:
            answer[2].pop("content-length")
        assert answers[0] == answers[1]
        assert rows == [[1, 1], [2, 2]]
        send()
        assert [envelope.rcpt_tos for envelope in box.envelopes] == [[MAIL]]


def test_nobody_fills_a_mailbox(mailed):
    app, send, box = mailed
    app.state.board.mails.rate = 1e-9
    answers = []
    for n in range(12):
        answer = Browser(app).post("/sign-in/email", {"email": MAIL if n < 6 else f"other{n}@lab.example"})
        answers.append(answer.status_code)
    assert answers == [200] * 10 + [429] * 2
    send()
    assert sum(envelope.rcpt_tos == [MAIL] for envelope in box.envelopes) == 3


def test_invitations_fill_no_mailbox_either_also_when_they_are_withdrawn(mailed, database):
    app, send, box = mailed
    ada = sign_up(app, send, box)
    answers = []
    for _ in range(5):
        answers.append(ada.post("/team/invitations", {"email": "eve@evil.example"}).status_code)
        with database.read() as session:
            numbers = session.scalars(select(Link.id).where(Link.email == "eve@evil.example")).all()
        for number in numbers:
            ada.post("/team/invitations/withdraw", {"number": number})
    assert answers == [303] * 3 + [429] * 2
    app.state.board.mails.rate = 1e-9
    others = [ada.post("/team/invitations", {"email": f"e{n}@evil.example"}).status_code for n in range(12)]
    assert others[-1] == 429
    send()
    assert len(box.envelopes) == 1 + others.count(303) + 3
    assert others.count(303) <= 10


def test_adding_webhooks_without_end_floods_nobody(hand, settings, database):
    with board_with(settings, database) as (app, _):
        app.state.board.row_changes.rate = 1e-9
        owner = Browser(app).sign_in(hand.tokens["alpha"])
        answers = []
        for n in range(32):
            answers.append(owner.post("/team/webhooks", {"url": f"https://victim.example/{n}"}).status_code)
            with database.read() as session:
                number = session.scalar(select(Webhook.id))
            owner.post("/team/webhooks/remove", {"number": number})
    assert answers == [200] * 30 + [429] * 2


INJECTIONS = [
    "ada@lab.example\r\nBcc: eve@evil.example",
    "ada@lab.example%0aBcc:eve@evil.example",
    "ada@lab.example,eve@evil.example",
    "ada@lab.example> RCPT TO:<eve@evil.example",
    "<ada@lab.example>",
    '"a b"@lab.example',
    "ada@[127.0.0.1]",
    "ada@localhost",
    "ada\u2028@lab.example",
    "a" * 65 + "@lab.example",
    "ada@" + "a." * 130 + "example",
    "",
]


@pytest.mark.parametrize("email", INJECTIONS, ids=range(len(INJECTIONS)))
def test_no_address_smuggles_a_header_or_a_recipient(mailed, email):
    app, send, box = mailed
    assert Browser(app).post("/sign-in/email", {"email": email}).status_code == 422
    send()
    assert box.envelopes == []
    with pytest.raises(RefusedError):
        check_email(email)


@pytest.mark.parametrize("part", ["subject", "address", "title"])
def test_a_line_break_in_a_header_is_refused_where_the_mail_is_made(settings, part):
    values = {"subject": "S", "address": MAIL, "title": "Board"}
    values[part] += "\r\nBcc: eve@evil.example"
    chosen = mail_settings(settings, 25, title=values["title"])
    message = Message("0" * 32, values["address"], {"subject": values["subject"], "text": "t"}, 1, None)
    with pytest.raises((ValueError, EarthReasonError)):
        make_email(chosen, message)


def test_a_mail_cannot_be_made_to_link_elsewhere(mailed):
    """The host of a link comes from the settings, whatever the request calls itself."""
    app, send, box = mailed
    for header in ("Host", "X-Forwarded-Host", "Forwarded"):
        Browser(app).post("/sign-in/email", {"email": MAIL}, headers={header: "evil.example"})
        send()
    assert box.envelopes
    for envelope in box.envelopes:
        assert b"evil.example" not in envelope.content
        assert f"{BASE}/join?link=".encode() in envelope.content


def test_no_parameter_redirects_to_another_site(mailed):
    app, send, box = mailed
    evil = ("//evil.example", "https://evil.example", "/\\evil.example")
    for address in evil:
        for name in ("next", "url", "to", "redirect", "return", "back"):
            answer = Browser(app).get(f"/sign-in?{name}={address}")
            assert "evil.example" not in answer.text + str(answer.headers)
    browser = Browser(app)
    browser.post("/sign-in/email", {"email": MAIL})
    send()
    data = {"link": box.link(), "team": "T", "name": "A", "next": evil[0], "back": evil[0]}
    assert browser.post("/join?next=//evil.example", data).headers["location"] == "/team"


def test_a_cookie_planted_before_the_sign_in_is_worth_nothing_after_it(mailed):
    """Session fixation: an attacker's own secret, valid or not, never becomes the victim's."""
    app, send, box = mailed
    attacker = sign_up(app, send, box, "eve@lab.example", "Eves", "Eve")
    planted = attacker.client.cookies[COOKIE]
    victim = Browser(app)
    victim.client.cookies.set(COOKIE, planted)
    victim.post("/sign-in/email", {"email": MAIL})
    send()
    data = {"link": box.link(), "team": "Adas", "name": "Ada"}
    assert victim.post("/join", data).status_code == 303
    secrets = [cookie.value for cookie in victim.client.cookies.jar if cookie.name == COOKIE]
    assert any(secret != planted for secret in secrets)
    assert attacker.get("/team").headers["location"] == "/sign-in"  # ended, too


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://board.test.evil.example"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/join", "/sign-in/email", "/sign-in"])
def test_other_sites_can_neither_sign_a_browser_in_nor_send_mails(mailed, path, headers, database):
    app, send, box = mailed
    with database.write() as session:
        link = create_link(session, E_MAIL, email="eve@lab.example")
    data = {"link": link, "team": "Eves", "name": "Eve", "email": MAIL, "token": "er_x"}
    answer = Browser(app).post(path, data, headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    send()
    assert box.envelopes == []
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(SignIn)) == 0


FORMS = {
    "/team/invitations": {"role": "owner"},
    "/team/invitations/withdraw": {"number": 1},
    "/team/members/remove": {"number": 1},
    "/team/members/role": {"number": 1, "role": "owner"},
    "/team/tokens": {"label": "x"},
    "/team/tokens/rotate": {"number": 1},
    "/team/tokens/revoke": {"number": 1},
    "/team/webhooks": {"url": "https://example.org/"},
    "/team/webhooks/remove": {"number": 1},
    "/team/sign-out-everywhere": {},
    "/admin/splits": {"split": "toy/test", "takes": "closed"},
    "/admin/tokens": {"team": "x"},
    "/admin/tokens/revoke": {"number": 1},
    "/admin/tokens/rotate": {"number": 1},
    "/admin/invitations": {},
    "/admin/flags": {"submission": "A" * 22, "reason": "x"},
}


@pytest.mark.parametrize("path", FORMS)
def test_every_form_needs_its_key_a_sign_in_and_our_own_page(hand, settings, database, path):
    def content():
        with database.read() as session:
            tables = (Member, Team, Token, Link, SignIn, Outgoing)
            return [session.scalar(select(func.count()).select_from(table)) for table in tables]

    with board_with(settings.model_copy(update={"base_url": BASE}), database) as (app, _):
        team = "admin" if path.startswith("/admin") else "alpha"
        browser, stranger = Browser(app).sign_in(hand.tokens[team]), Browser(app)
        before = content()
        for key in ("0", "0" * 64, "é"):
            assert browser.post(path, {**FORMS[path], "key": key}).status_code == 403, key
        assert stranger.post(path, {**FORMS[path], "key": "0" * 64}).status_code == 403
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert browser.post(path, FORMS[path], headers=headers).status_code == 403
        if team == "admin":
            assert Browser(app).sign_in(hand.tokens["alpha"]).post(path, FORMS[path]).status_code == 403
            before[4] += 1  # that sign-in
        assert content() == before


def test_numbers_of_other_teams_reach_nothing(hand, settings, database):
    with board_with(settings.model_copy(update={"base_url": BASE}), database) as (app, _):
        alpha, beta = (Browser(app).sign_in(hand.tokens[team]) for team in ("alpha", "beta"))
        link = alpha.link_of("/team/invitations", {"role": "member"})
        member = Browser(app)
        member.told("/join", {"link": link, "name": "Ann"})
        alpha.told("/team/webhooks", {"url": "https://example.org/hook"})
        alpha.link_of("/team/invitations", {"role": "member"})
        with database.read() as session:
            ann = session.scalar(select(Member.id).where(Member.name == "Ann"))
            token = session.scalar(select(Token.id).where(Token.member_id == ann))
            invitation = session.scalar(select(Link.id).where(Link.used.is_(None)))
        for path in ("tokens/rotate", "tokens/revoke"):
            assert beta.post(f"/team/{path}", {"number": token}).status_code == 404
        assert beta.post("/team/members/remove", {"number": ann}).status_code == 404
        assert beta.post("/team/members/role", {"number": ann, "role": "owner"}).status_code == 404
        assert beta.post("/team/webhooks/remove", {"number": 1}).status_code == 404
        beta.post("/team/invitations/withdraw", {"number": invitation})
        assert "Ann" not in beta.get("/team").text
        assert member.post("/team/members/role", {"number": ann, "role": "owner"}).status_code == 403
        with database.read() as session:
            assert session.get(Link, invitation) is not None
            teams_token = session.scalar(select(Token.id).where(Token.sha256 == hash_secret(hand.tokens["alpha"])))
        assert member.post("/team/tokens/rotate", {"number": teams_token}).status_code == 403
        assert alpha.post("/team/tokens/rotate", {"number": token}).status_code == 200


def test_cookies_cannot_be_read_by_scripts_nor_sent_by_other_sites(mailed):
    app, send, box = mailed
    app.state.board.settings = app.state.board.settings.model_copy(update={"secure_cookies": True})
    browser = Browser(app)
    browser.post("/sign-in/email", {"email": MAIL})
    send()
    cookie = browser.post("/join", {"link": box.link(), "team": "T", "name": "A"}).headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "secure"} <= {part.strip() for part in cookie.split(";")}


def test_without_open_sign_up_a_link_of_an_unknown_address_creates_no_team(settings, database, board):
    with mail_server() as (controller, _), board_with(mail_settings(settings, controller.port), database) as (app, _):
        with database.write() as session:
            secret = create_link(session, E_MAIL, email="eve@lab.example")
        answer = Browser(app).post("/join", {"link": secret, "team": "Eves", "name": "Eve"})
        assert answer.status_code == 410
        with database.read() as session:
            assert session.scalar(select(Team.id).where(Team.name == "Eves")) is None


def test_an_owner_who_is_removed_or_demoted_cannot_come_back_by_an_invitation_of_its_own(mailed, database):
    app, send, box = mailed
    ada = sign_up(app, send, box)
    for act, name in (("remove", "Bob"), ("role", "Eve")):
        other = Browser(app)
        token = other.told("/join", {"link": ada.link_of("/team/invitations", {"role": "owner"}), "name": name})
        by_page = other.link_of("/team/invitations", {"role": "owner"})
        by_token = Browser(app).sign_in(token).link_of("/team/invitations", {"role": "owner"})
        kept = ada.link_of("/team/invitations", {"role": "member"})
        with database.read() as session:
            number = session.scalar(select(Member.id).where(Member.name == name))
        assert ada.post(f"/team/members/{act}", {"number": number, "role": "member"}).status_code == 303
        for link in (by_page, by_token):
            assert Browser(app).post("/join", {"link": link, "name": "Back"}).status_code == 410
        assert Browser(app).post("/join", {"link": kept, "name": f"Friend {act}"}).status_code == 200


@pytest.mark.parametrize("act", ["revoke", "rotate"])
def test_the_invitations_of_a_stolen_token_end_with_it(hand, settings, database, act):
    with board_with(settings, database) as (app, _):
        thief = Browser(app).sign_in(hand.tokens["alpha"])
        link = thief.link_of("/team/invitations", {"role": "owner"})
        number = re.search(r'(\d+) <span class="badge">this sign-in', thief.get("/team").text)[1]
        thief.post(f"/team/tokens/{act}", {"number": number})
        assert Browser(app).post("/join", {"link": link, "name": "Thief"}).status_code == 410


def test_a_token_is_replaced_once_also_when_two_rotate_it_at_once(database, board):
    with database.write() as session:
        first = session.scalars(select(Token).where(Token.team_id.is_not(None))).first()
    with database.write() as session:
        rotate_token(session, session.get(Token, first.id))
    with pytest.raises(EarthReasonError, match="has just been replaced"), database.write() as session:
        rotate_token(session, first)  # as it was when the other request had not ended


def test_an_invitation_says_which_sign_in_it_would_end(mailed):
    app, send, box = mailed
    ada = sign_up(app, send, box)
    link = ada.link_of("/team/invitations", {"role": "member"})
    words = "signed in for <strong>Ada&#39;s Lab</strong>"
    assert words in ada.get(f"/join?link={link}").text
    assert words not in Browser(app).get(f"/join?link={link}").text
    assert "by Ada, valid until 20" in ada.get("/team").text


@pytest.mark.parametrize(("path", "field", "of"), [("/join", "name", "person"), ("/team/tokens", "label", "token")])
def test_a_name_that_is_refused_is_called_what_it_is_and_its_character_named(mailed, path, field, of):
    app, send, box = mailed
    ada = sign_up(app, send, box)
    link = ada.link_of("/team/invitations", {"role": "member"})
    answer = ada.post(path, {"link": link, field: "a\u3164b"})
    assert answer.status_code == 400
    assert f"name of the {of}: contains U+3164 (HANGUL FILLER)" in answer.text
