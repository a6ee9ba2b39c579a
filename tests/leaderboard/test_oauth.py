"""Sign in with an account: against a real OpenID provider on loopback, and one that behaves as GitHub documents."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from oidc_provider_mock import run_server_in_thread
from pydantic import SecretStr
from sqlalchemy import func, select

from leaderboard.links import FLOW
from leaderboard.members import Identity, add_member, create_team
from leaderboard.tables import Link, Member, SignIn
from leaderboard.web.joining import FLOW_COOKIE
from leaderboard.web.state import COOKIE
from tests.leaderboard.people import BASE, Browser, board_with


@pytest.fixture(scope="module")
def provider():
    with run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def with_hub(settings, provider, **more):
    given = {"huggingface_client_id": "board", "huggingface_client_secret": SecretStr("s"), "huggingface_url": provider}
    return settings.model_copy(update={"base_url": BASE, **given, **more})


@pytest.fixture
def hub(settings, database, board, provider):
    with board_with(with_hub(settings, provider, open_sign_up=True), database) as (app, _):
        yield app


def allow(url, subject):
    """Do what a browser and its user do at the provider: allow it, and return where the provider sends the browser."""
    answer = httpx.post(url, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(f"{BASE}/sign-in/")
    return answer.headers["location"]


def begin(browser, path="/sign-in/huggingface"):
    answer = browser.get(path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def target_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.text.partition('content="0; url=')[2].partition('"')[0].replace("&amp;", "&")


def arrive(app, subject, path="/sign-in/huggingface"):
    browser = Browser(app)
    back = allow(begin(browser, path), subject)
    return browser, target_of(browser.get(back.removeprefix(BASE)))


def sign_up(app, subject, team):
    browser, target = arrive(app, subject)
    link = target.partition("link=")[2]
    page = browser.get(target).text
    assert f'name="name" required maxlength="80" autocomplete="name" value="{subject}"' in page
    assert browser.post("/join", {"link": link, "team": team, "name": subject}).headers["location"] == "/team"
    return browser


def test_an_account_signs_up_and_comes_back_without_naming_a_team(hub, provider, database):
    asked = parse_qs(urlsplit(begin(Browser(hub))).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= asked.keys()
    assert asked["redirect_uri"] == [f"{BASE}/sign-in/huggingface/callback"]
    sign_up(hub, "ada", "Adas")
    browser, target = arrive(hub, "ada")
    assert target == "/team"
    assert "Adas" in browser.get("/team").text
    with database.read() as session:
        member = session.scalars(select(Member)).one()
        assert (member.issuer, member.subject, member.email) == (provider, "ada", None)


def test_an_invitation_is_accepted_with_an_account(hub, hand, database):
    owner = Browser(hub).sign_in(hand.tokens["alpha"])
    link = owner.link_of("/team/invitations", {"role": "member"})
    assert "/sign-in/huggingface?link=" in Browser(hub).get(f"/join?link={link}").text
    browser, target = arrive(hub, "bob", f"/sign-in/huggingface?link={link}")
    assert "Team Alpha" in browser.get(target).text
    joining = target.partition("link=")[2]
    assert browser.post("/join", {"link": joining, "name": "Bob"}).headers["location"] == "/team"
    assert "Bob" in owner.get("/team").text
    for used in (link, joining):
        assert Browser(hub).post("/join", {"link": used, "name": "Eve", "team": "E"}).status_code == 410
    with database.read() as session:
        assert session.scalars(select(Member)).one().role == "member"


def test_without_open_sign_up_an_unknown_account_gets_nowhere(settings, database, board, provider):
    with board_with(with_hub(settings, provider), database) as (app, _):
        browser = Browser(app)
        back = allow(begin(browser), "eve")
        answer = browser.get(back.removeprefix(BASE))
        assert (answer.status_code, COOKIE in answer.headers.get("set-cookie", "")) == (403, False)
        with database.write() as session:
            add_member(session, create_team(session, "T"), "Eve", "owner", identity=Identity(provider, "eve", "eve"))
        assert arrive(app, "eve")[1] == "/team"


def test_the_way_back_works_once_and_in_the_browser_that_began(hub, database):
    """Login CSRF: an attacker sends the victim the last step of its own sign-in."""
    sign_up(hub, "mallory", "Mallorys")
    attacker, victim = Browser(hub), Browser(hub)
    back = allow(begin(attacker), "mallory").removeprefix(BASE)
    for stranger in (victim, Browser(hub)):
        answer = stranger.get(back)
        assert (answer.status_code, COOKIE in answer.headers.get("set-cookie", "")) == (410, False)
        begin(victim)  # a flow of its own does not help
    assert attacker.get(back).status_code == 200
    assert attacker.get(back).status_code == 410
    assert Browser(hub).get("/sign-in/huggingface/callback?code=x").status_code == 410
    assert Browser(hub).get("/sign-in/huggingface/callback?code=x&state=" + "x" * 43).status_code == 410


def test_a_code_of_another_sign_in_is_refused(hub):
    """Code injection: the victim's code is put into the attacker's flow; the nonce of the ID token tells."""
    sign_up(hub, "victim", "Victims")
    attacker, other = Browser(hub), Browser(hub)
    stolen = parse_qs(urlsplit(allow(begin(other), "victim")).query)["code"][0]
    state = parse_qs(urlsplit(begin(attacker)).query)["state"][0]
    answer = attacker.get(f"/sign-in/huggingface/callback?code={stolen}&state={state}")
    assert (answer.status_code, COOKIE in answer.headers.get("set-cookie", "")) == (502, False)


def test_who_denies_is_not_signed_in(hub, database):
    browser = Browser(hub)
    denied = httpx.post(begin(browser), data={"action": "deny"}).headers["location"]
    state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
    assert "error=access_denied" in denied
    answer = browser.get(f"/sign-in/huggingface/callback?error=access_denied&state={state}")
    assert answer.status_code == 403
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(SignIn)) == 0


def test_a_new_account_does_not_take_over_an_address_that_it_claims(hub, database):
    """The provider's claim of an e-mail address is not used, so an account cannot become the member who has it."""
    with database.write() as session:
        add_member(session, create_team(session, "Adas"), "Ada", "owner", email="ada@lab.example")
    _, target = arrive(hub, "ada@lab.example")  # this provider sets the e-mail claim to the subject
    assert target.startswith("/join?link=")


def test_cookie_of_a_flow_is_short_and_not_for_scripts(hub):
    answer = Browser(hub).get("/sign-in/huggingface")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(FLOW_COOKIE)
    assert {"httponly", "samesite=lax", "max-age=600", "path=/sign-in"} <= {part.strip() for part in cookie.split(";")}


def test_beginning_without_end_is_refused(hub, database):
    hub.state.board.mails.rate = 1e-9
    answers = [Browser(hub).get("/sign-in/huggingface").status_code for _ in range(52)]
    assert answers == [303] * 50 + [429] * 2
    with database.read() as session:
        assert session.scalar(select(func.count()).where(Link.kind == FLOW)) == 50


def test_a_way_that_is_not_set_up_or_does_not_answer_says_so(settings, database, board):
    chosen = with_hub(settings, "http://127.0.0.1:9")
    with board_with(chosen, database) as (app, _):
        assert Browser(app).get("/sign-in/github").status_code == 404
        answer = Browser(app).get("/sign-in/huggingface")
        assert answer.status_code == 502
        assert "Hugging Face did not confirm" in answer.text


# --- forged ID tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forgery", ["", "none", "another key", "another client", "another issuer", "expired"])
def test_a_forged_id_token_is_refused(settings, database, board, forgery):
    from joserfc import jwt
    from joserfc.jwk import KeySet, RSAKey

    key = RSAKey.generate_key(2048, {"kid": "1"})
    used = RSAKey.generate_key(2048, {"kid": "1"}) if forgery == "another key" else key
    claims = {"sub": "ada", "iss": "", "aud": "board", "exp": 4e9}
    claims |= {"another client": {"aud": "other"}, "expired": {"exp": 1e9}}.get(forgery, {})
    nonces = []

    def answer(path, query, form, address):
        issuer = address if forgery != "another issuer" else "https://evil.example"
        if path == "/.well-known/openid-configuration":
            pages = {"authorization_endpoint": "a", "token_endpoint": "t", "userinfo_endpoint": "u", "jwks_uri": "k"}
            return {"issuer": address, **{name: f"{address}/{page}" for name, page in pages.items()}}
        if path == "/k":
            return KeySet([key]).as_dict()
        if path == "/u":
            return {"sub": "ada"}
        payload = {**claims, "iss": issuer, "nonce": nonces[-1]}
        if forgery == "none":
            head, body = (
                base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode()
                for each in ({"alg": "none"}, payload)
            )
            return {"access_token": "x", "token_type": "Bearer", "id_token": f"{head}.{body}."}
        return {
            "access_token": "x",
            "token_type": "Bearer",
            "id_token": jwt.encode({"alg": "RS256", "kid": "1"}, payload, used),
        }

    with (
        serve(answer) as address,
        board_with(with_hub(settings, address, open_sign_up=True), database) as (app, _),
    ):
        browser = Browser(app)
        asked = parse_qs(urlsplit(begin(browser)).query)
        nonces.append(asked["nonce"][0])
        got = browser.get(f"/sign-in/huggingface/callback?code=c&state={asked['state'][0]}")
        assert got.status_code == (502 if forgery else 200)  # the genuine one shows that the others fail by their fault


# --- GitHub ----------------------------------------------------------------------------------------------------------


@contextmanager
def serve(answer):
    """A web server on loopback that answers JSON; `answer` takes path, query, form and its own address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            query, form = ({k: v[0] for k, v in parse_qs(text).items()} for text in (parts.query, body))
            form["authorization"] = self.headers.get("Authorization", "")
            told = answer(parts.path, query, form, f"http://127.0.0.1:{server.server_port}")
            self.send_response(200 if told else 401)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *given):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class GitHub:
    """The pages of GitHub that an OAuth app uses, with codes that work once and PKCE that is checked."""

    def __init__(self):
        self.codes = {}

    def allow(self, url, user):
        asked = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
        assert (asked["client_id"], asked["code_challenge_method"]) == ("app", "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = (asked["code_challenge"], asked["redirect_uri"], user)
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    def __call__(self, path, query, form, address):
        if path == "/login/oauth/access_token":
            known = self.codes.pop(form.get("code"), None)
            client = base64.b64encode(b"app:secret").decode()
            if form["authorization"] != f"Basic {client}" or known is None:
                return {"error": "bad_verification_code"}
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            if challenge.rstrip(b"=").decode() != known[0] or form["redirect_uri"] != known[1]:
                return {"error": "bad_verification_code"}
            return {"access_token": f"token-of-{known[2]}", "token_type": "bearer", "scope": ""}
        number = form["authorization"].removeprefix("Bearer token-of-")
        return {"id": int(number), "login": f"user{number}"} if path == "/user" and number.isdigit() else None


@pytest.fixture
def github(settings, database, board):
    pages = GitHub()
    with serve(pages) as address:
        given = {"github_client_id": "app", "github_client_secret": SecretStr("secret"), "open_sign_up": True}
        chosen = {"github_url": address, "github_api_url": address, "base_url": BASE}
        with board_with(settings.model_copy(update={**given, **chosen}), database) as (app, _):
            yield app, pages, address


def test_an_account_of_github_is_known_by_its_number(github, database):
    app, pages, address = github
    browser = Browser(app)
    target = target_of(browser.get(pages.allow(begin(browser, "/sign-in/github"), 7).removeprefix(BASE)))
    link = target.partition("link=")[2]
    assert browser.post("/join", {"link": link, "team": "Sevens", "name": "Seven"}).status_code == 303
    with database.read() as session:
        member = session.scalars(select(Member)).one()
        assert (member.issuer, member.subject) == (address, "7")
    again = Browser(app)
    assert target_of(again.get(pages.allow(begin(again, "/sign-in/github"), 7).removeprefix(BASE))) == "/team"


def test_a_stolen_code_of_github_is_worth_nothing_without_its_verifier(github):
    app, pages, _ = github
    victim, attacker = Browser(app), Browser(app)
    code = parse_qs(urlsplit(pages.allow(begin(victim, "/sign-in/github"), 7)).query)["code"][0]
    state = parse_qs(urlsplit(begin(attacker, "/sign-in/github")).query)["state"][0]
    answer = attacker.get(f"/sign-in/github/callback?code={code}&state={state}")
    assert (answer.status_code, COOKIE in answer.headers.get("set-cookie", "")) == (502, False)
