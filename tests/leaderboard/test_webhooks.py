"""Webhooks: signed as the specification's own library checks, tried again, and sent to public addresses only."""

import ipaddress
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from leaderboard.outgoing import Message, claim_message, finish_message, is_due
from leaderboard.submissions import RefusedError, set_flag
from leaderboard.tables import Outgoing, Submission, Webhook
from leaderboard.webhooks import CheckedNetwork, PrivateAddressError, check_url, is_public, send_event
from tests.leaderboard.people import BASE, Browser, board_with
from tests.leaderboard.toys import make_predictions

SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


@pytest.fixture
def receiver():
    """A web server that remembers what it is sent, and answers with the next of its statuses."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.taken.append((dict(self.headers), body))
            self.send_response(server.statuses.pop(0) if server.statuses else 204)
            self.send_header("Location", server.location)
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *given):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.taken, server.statuses, server.location = [], [], "/elsewhere"
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def told(hand, settings, database, receiver):
    """A team whose webhook is the receiver, on a host that allows private addresses: browser, secret, send."""
    chosen = settings.model_copy(update={"base_url": BASE, "private_webhooks": True})
    with board_with(chosen, database) as (app, send):
        browser = Browser(app).sign_in(hand.tokens["alpha"])
        secret = browser.told("/team/webhooks", {"url": receiver.url})
        yield browser, secret, send


def event(url, message_id="a" * 32):
    return Message(message_id, url, {"type": "test", "timestamp": "2026-01-01T00:00:00Z", "data": {}}, 1, SECRET)


def bodies(receiver):
    return [json.loads(body) for _, body in receiver.taken]


def test_a_team_is_told_of_scores_faults_and_flags_with_a_valid_signature(hand, told, receiver, references):
    browser, secret, send = told
    good = hand.submit(make_predictions(references))
    bad = hand.submit(b"[]")
    hand.submit(make_predictions(references, 1), team="beta")  # of another team
    hand.score()
    with hand.worker.database.write() as session:
        set_flag(session, session.get_one(Submission, good), "doubtful")
    assert send() == 4
    events = {(body["type"], body["data"].get("submission")) for body in bodies(receiver)}
    assert events == {
        ("test", None),
        ("submission.scored", good),
        ("submission.failed", bad),
        ("submission.flagged", good),
    }
    for headers, body in receiver.taken:
        assert Verifier(secret).verify(body, headers) == json.loads(body)
        with pytest.raises(WebhookVerificationError):
            Verifier(secret).verify(body.replace(b"type", b"tyqe"), headers)
        with pytest.raises(WebhookVerificationError):
            Verifier(SECRET).verify(body, headers)
    with hand.worker.database.write() as session:
        set_flag(session, session.get_one(Submission, good), None)
    assert send() == 0  # a flag that is removed is not a flag
    assert "score" not in str([body["data"] for body in bodies(receiver)])
    assert "sent" in browser.get("/team").text


def test_a_message_is_tried_again_with_the_same_id_until_it_is_taken(told, receiver, monkeypatch):
    monkeypatch.setattr("leaderboard.outgoing.RETRY_SECONDS", (0.0,) * 5)
    _, secret, send = told
    receiver.statuses[:] = [500, 404, 302, 200]
    assert send() == 4
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1
    assert len(receiver.taken) == 4  # the redirect was not followed
    assert Verifier(secret).verify(receiver.taken[-1][1], receiver.taken[-1][0])


def test_a_message_is_given_up_in_the_end_and_both_pages_say_so(hand, told, receiver, database, monkeypatch):
    monkeypatch.setattr("leaderboard.outgoing.RETRY_SECONDS", (0.0, 0.0))
    browser, _, send = told
    receiver.statuses[:] = [500] * 9
    assert send() == 3
    assert "given up, 3 attempts (answered 500)" in browser.get("/team").text
    admin = Browser(browser.client.app).sign_in(hand.tokens["admin"])
    assert "0 waiting, 1 given up" in admin.get("/admin").text
    with database.read() as session:
        assert session.scalars(select(Outgoing)).one().body == {}


def test_a_message_waits_between_attempts(told, receiver, database):
    _, _, send = told
    receiver.statuses[:] = [500]
    assert send() == 1
    with database.read() as session:
        row = session.scalars(select(Outgoing)).one()
        assert 5 < row.due - time.time() <= 10
    assert send() == 0


def test_two_processes_do_not_send_one_message(told, database):
    with database.write() as session:
        first = claim_message(session, mail=False)
    with database.write() as session:
        assert claim_message(session, mail=False) is None
        assert not is_due(session, mail=False)
    with database.write() as session:  # the first one died; its lease ends
        session.get_one(Outgoing, first.id).due = 0.0
    with database.write() as session:
        second = claim_message(session, mail=False)
    assert (second.id, second.attempts) == (first.id, 2)
    with database.write() as session:
        finish_message(session, first, None)  # it was only slow, and has lost its claim
        assert session.get_one(Outgoing, first.id).state == "waiting"


def test_removing_a_webhook_removes_what_waits(told, receiver, database):
    browser, _, send = told
    with database.read() as session:
        number = session.scalar(select(Webhook.id))
    assert browser.post("/team/webhooks/remove", {"number": number}).status_code == 303
    assert send() == 0
    assert receiver.taken == []


def test_a_team_has_few_webhooks(told, receiver):
    browser, *_ = told
    answers = [browser.post("/team/webhooks", {"url": f"{receiver.url}/{n}"}).status_code for n in range(5)]
    assert answers == [200] * 4 + [409]


# --- addresses -------------------------------------------------------------------------------------------------------

REFUSED = [
    "http://example.org/hook",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://localhost/",
    "https://10.0.0.8/",
    "https://172.16.5.5/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.8]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[64:ff9b::a00:8]/",
    "https://[2002:a00:8::]/",
    "https://example.org:22/",
    "https://example.org:25/",
    "https://example.org:99999/",
    "https://user:pass@example.org/",
    "https://example.org\\@10.0.0.8/",
    "https://example.org#@10.0.0.8/ ",
    "ftp://example.org/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/_MAIL",
    "//example.org/",
    "https://",
    "",
    "https://example.org/\r\nX: y",
]


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
def test_a_webhook_never_reaches_a_private_address(url, monkeypatch):
    """Refused by its form, or when it is connected to; nothing is connected to in either case."""
    connected = []
    monkeypatch.setattr(socket, "create_connection", lambda *given, **more: connected.append(given))
    try:
        check_url(url, private=False)
    except RefusedError:
        return
    fault = send_event(event(url), SECRET, private=False)
    assert fault is not None
    assert connected == []


@pytest.mark.parametrize(
    ("answers", "public"),
    [
        (["93.184.215.14"], True),
        (["127.0.0.1"], False),
        (["93.184.215.14", "10.0.0.8"], False),
        (["2606:2800:21f:cb07:6820:80da:af6b:8b2c"], True),
        (["::ffff:127.0.0.1"], False),
        (["fe80::1%eth0"], False),
    ],
)
def test_a_name_is_asked_once_and_what_was_checked_is_connected_to(monkeypatch, answers, public):
    """Rebinding: a second answer of the name server would be a private address."""
    asked, connected = [], []

    def resolve(host, port, **given):
        asked.append(host)
        given_now = answers if len(asked) == 1 else ["127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in given_now]

    def connect(address, *given, **more):
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    fault = send_event(event("https://example.org/hook"), SECRET, private=False)
    assert asked == ["example.org"]
    assert connected == (answers[:1] if public else [])
    assert fault == ("no answer: ConnectError" if public else "the name does not stand for a public address")


def test_private_addresses_are_for_hosts_that_allow_them(receiver, hand, settings, database):
    with board_with(settings.model_copy(update={"base_url": BASE}), database) as (app, _):
        browser = Browser(app).sign_in(hand.tokens["alpha"])
        answer = browser.post("/team/webhooks", {"url": receiver.url})
        assert (answer.status_code, receiver.taken) == (422, [])
    assert send_event(event(receiver.url), SECRET, private=True) is None
    with pytest.raises(PrivateAddressError):
        CheckedNetwork(private=False).connect_tcp("127.0.0.1", receiver.server_port)


def test_a_redirect_to_a_private_address_is_not_followed(receiver):
    receiver.statuses[:] = [307]
    receiver.location = receiver.url
    assert send_event(event(receiver.url), SECRET, private=True) == "answered 307"
    assert len(receiver.taken) == 1


def test_a_receiver_that_drips_its_answer_holds_nothing_up(monkeypatch):
    monkeypatch.setattr("leaderboard.webhooks.CheckedNetwork.__init__.__kwdefaults__", {"seconds": 1.0})
    listener = socket.create_server(("127.0.0.1", 0))

    def drip():
        connection, _ = listener.accept()
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for n in range(200):
                connection.sendall(f"X-{n}: 1\r\n".encode())
                time.sleep(0.1)
        except OSError:
            return

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    assert send_event(event(url), SECRET, private=True) == "no answer: ReadTimeout"
    assert time.monotonic() - began < 5
    thread.join()
    listener.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(receiver, tmp_path):
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    url = receiver.url.replace("http://", "https://")
    assert send_event(event(url), SECRET, private=True) == "no answer: ConnectError"
    assert receiver.taken == []


PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


PRIVATE = [
    "10.0.0.8",
    "127.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "0.0.0.0",
    "::1",
    "fd00::1",
    "ff02::1",
]
PRIVATE += ["::ffff:10.0.0.8", "64:ff9b::a00:8", "2002:a00:8::", "2001:0:a00:8:0:0:f5ff:fff7"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_private_in_every_notation(address):
    assert not is_public(ipaddress.ip_address(address))
