"""Every threat that a public leaderboard has to expect, one or more tests each."""

import hashlib
import json
import re

import pytest

from leaderboard.tables import SignIn, Token
from leaderboard.tokens import create_token, form_key, revoke_token
from leaderboard.web.state import COOKIE
from tests.leaderboard.toys import make_predictions, sign_in

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'"


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/static/../cli.py",
        "/static/%2e%2e/cli.py",
        "/static/..%2fcli.py",
        "/static//etc/passwd",
        "/pictures/../../x/0-truth.jpg",
    ],
)
def test_paths_lead_nowhere_but_to_static_files(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text


# --- scripts in texts ------------------------------------------------------------------------------------------------


def test_hostile_text_is_text_on_every_page(hand, references, database):
    team = "<script>alert('team')</script>"
    with database.write() as session:
        hand.tokens["evil"] = create_token(session, team)[1]
    metadata = {
        "model": EVIL[:80],
        "training": "trained",
        "backbone": EVIL,
        "extra_data": EVIL,
        "description": EVIL,
        "contact": EVIL,
        "paper": "https://example.org/?q=1&x=%22%3E",
    }
    records = json.loads(make_predictions(references))["predictions"]
    for record in records:
        record["answer"] = EVIL
    ids = [
        hand.published(
            json.dumps({"info": {"model": EVIL, "n": n}, "predictions": records}).encode(),
            "evil",
            split="toy/open",
            metadata=metadata,
            card={EVIL: EVIL},
        )
        for n in range(2)
    ]
    flag = {"reason": EVIL}
    hand.client.put(f"/api/submissions/{ids[0]}/flag", json=flag, headers=hand.headers("admin"))
    cookie = sign_in(hand, "evil")
    for path in ("/?split=toy/open", f"/models/{ids[0]}", f"/compare?ids={ids[0]}&ids={ids[1]}", "/mine", "/submit"):
        page = hand.client.get(path, headers={"cookie": cookie})
        assert page.status_code == 200
        assert not re.search(r"<script(?! src=\"/static/board.js\" defer></script>)", page.text), path
        assert "<img src=x" not in page.text
        assert "49" not in re.findall(r"img&gt;(\d+)", page.text)
    assert "&lt;script&gt;" in hand.client.get(f"/models/{ids[0]}").text


@pytest.mark.parametrize(
    "path",
    [
        "/?split=<script>alert(1)</script>",
        "/?split=toy/test&protocol=<script>",
        "/<script>",
        "/compare?ids=<script>&ids=x",
    ],
)
def test_what_a_request_says_is_not_markup_in_the_answer(client, path):
    assert "<script>" not in client.get(path).text


def test_every_answer_has_the_security_headers_and_no_inline_script(hand, references):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    for path in (
        "/",
        f"/models/{submission_id}",
        "/scoring",
        "/published",
        "/api",
        "/sign-in",
        "/nowhere",
        "/api/splits",
        "/static/board.css",
        "/health",
    ):
        answer = hand.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script>|\son\w+=|\sstyle=|javascript:", answer.text if "css" not in path else "")


def test_a_fault_of_ours_tells_nothing_and_has_the_headers(client, monkeypatch):
    monkeypatch.setattr("leaderboard.web.pages.published_view", lambda: 1 / 0)
    answer = client.get("/published")
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    assert "content-security-policy" in answer.headers


# --- forms of other sites --------------------------------------------------------------------------------------------


def test_the_cookie_is_for_this_site_and_not_for_scripts(hand):
    answer = hand.client.post("/sign-in", data={"token": hand.tokens["alpha"]}, follow_redirects=False)
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in answer.headers["set-cookie"].split(";")}


def test_a_form_without_the_key_of_the_sign_in_changes_nothing(hand, references):
    submission_id = hand.published(make_predictions(references))
    cookie = sign_in(hand)
    for key in ("none", "0" * 64):
        data = {"key": key, "visibility": "withdrawn"}
        assert hand.client.post(f"/mine/{submission_id}", data=data, headers={"cookie": cookie}).status_code == 403
    assert hand.get(submission_id).json()["visibility"] == "public"
    data = {"key": form_key(cookie.split("=", 1)[1]), "visibility": "withdrawn"}
    answer = hand.client.post(f"/mine/{submission_id}", data=data, headers={"cookie": cookie}, follow_redirects=False)
    assert answer.status_code == 303
    assert hand.get(submission_id).json()["visibility"] == "withdrawn"


@pytest.mark.parametrize("header", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_form_of_another_site_is_refused_even_with_the_key(hand, references, header):
    submission_id = hand.published(make_predictions(references))
    cookie = sign_in(hand)
    data = {"key": form_key(cookie.split("=", 1)[1]), "visibility": "withdrawn"}
    answer = hand.client.post(f"/mine/{submission_id}", data=data, headers={"cookie": cookie, **header})
    assert answer.status_code == 403
    answer = hand.client.post("/sign-in", data={"token": hand.tokens["alpha"]}, headers=header)
    assert answer.status_code == 403


def test_a_cookie_opens_no_call_of_the_api(hand):
    assert hand.client.get("/api/submissions", headers={"cookie": sign_in(hand)}).status_code == 401


# --- the database ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE submissions; --", "' OR '1'='1", "x' UNION SELECT sha256 FROM tokens --"]
)
def test_sql_in_a_parameter_is_text(hand, references, text):
    hand.published(make_predictions(references))
    for path in (
        f"/api/board?split={text}",
        f"/api/submissions/{text}",
        f"/?split={text}",
        f"/models/{text}",
        f"/api/board?split=toy/test&subset={text}",
    ):
        assert hand.client.get(path).status_code in (200, 404, 422)
    assert hand.client.get("/api/submissions", headers={"Authorization": f"Bearer {text}"}).status_code == 401
    assert len(hand.client.get("/api/board?split=toy/test").json()["rows"]) == 1


def test_no_database_is_asked_for_a_nul_character(hand, references):
    """PostgreSQL refuses to compare with one, which would be a fault of ours."""
    submission_id = hand.published(make_predictions(references), split="toy/open")
    for path in ("/?split=%00", "/?split=toy/%00", "/api/board?split=a%00/b", f"/pictures/{submission_id}/%00.jpg"):
        assert hand.client.get(path).status_code == 404
    assert hand.announce(make_predictions(references, 1), split="toy\0/open").status_code == 404


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_only_the_hash_of_a_token_is_kept(database, board):
    with database.read() as session:
        kept = {token.sha256 for token in session.query(Token)}
    assert kept == {hashlib.sha256(secret.encode()).hexdigest() for secret in board.values()}
    assert all(len(secret) >= 43 for secret in board.values())


def test_guessing_tokens_is_slowed_down(client, board, settings):
    wrong = {"Authorization": "Bearer er_wrong"}
    for _ in range(settings.guesses_per_minute):
        assert client.get("/api/submissions", headers=wrong).status_code == 401
    assert client.get("/api/submissions", headers=wrong).status_code == 429
    assert client.post("/sign-in", data={"token": "er_wrong"}).status_code == 429
    assert client.get("/api/board?split=toy/test").status_code == 200  # readers are not kept out
    right = {"Authorization": f"Bearer {board['beta']}"}  # nor is a team behind the same proxy
    assert client.get("/api/submissions", headers=right).status_code == 200
    assert client.post("/sign-in", data={"token": board["alpha"]}, follow_redirects=False).status_code == 303
    assert client.get("/api/submissions", headers=wrong).status_code == 429


def test_tokens_are_found_by_hash_and_compared_in_constant_time(database, board, monkeypatch):
    import hmac

    from leaderboard import tokens

    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(tokens.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    with database.read() as session:
        assert tokens.find_caller(session, board["alpha"]).team == "Team Alpha"
        assert tokens.find_caller(session, board["alpha"][:-1]) is None
    digest = hashlib.sha256(board["alpha"].encode()).hexdigest()
    assert compared == [(digest, digest)]  # never the token itself


def test_a_revoked_token_and_its_sign_ins_are_worth_nothing(hand, database):
    cookie = sign_in(hand)
    assert hand.client.get("/mine", headers={"cookie": cookie}, follow_redirects=False).status_code == 200
    with database.write() as session:
        number = session.query(Token).filter_by(scope="submit").order_by(Token.id).first().id
        revoke_token(session, number)
    assert hand.client.get("/api/submissions", headers=hand.headers()).status_code == 401
    assert hand.client.get("/mine", headers={"cookie": cookie}, follow_redirects=False).status_code == 303


def test_a_sign_in_ends(hand, database):
    cookie = sign_in(hand)
    with database.write() as session:
        session.query(SignIn).update({"expires": 1.0})
    assert hand.client.get("/mine", headers={"cookie": cookie}, follow_redirects=False).status_code == 303
    assert cookie.startswith(COOKIE)


def test_an_administrators_token_cannot_submit_and_a_teams_cannot_administrate(hand, references):
    assert hand.announce(make_predictions(references), team="admin").status_code == 403
