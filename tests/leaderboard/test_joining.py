"""Links by e-mail and invitations, with a real mail server; and what attackers try with them."""

import re
import time
from email import message_from_bytes, policy

import pytest
from sqlalchemy import func, select, update

from earthreason.errors import EarthReasonError
from leaderboard.links import E_MAIL, INVITATION, LinkError, create_link, find_link, use_link
from leaderboard.mail import make_email
from leaderboard.members import add_member, check_email, create_team
from leaderboard.outgoing import Message
from leaderboard.settings import settings_from
from leaderboard.submissions import RefusedError
from leaderboard.tables import Link, Member, Outgoing, SignIn, Team, Token
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


# --- attacks ---------------------------------------------------------------------------------------------------------


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


def test_a_server_with_a_password_and_one_without_encryption(settings, database, board):
    secret = settings_from({"EARTHREASON_BOARD_SMTP_PASSWORD": "right"}).smtp_password
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
