"""People in the tests: browsers with cookies, and a mail server of our own."""

from __future__ import annotations

import re
from contextlib import contextmanager

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from fastapi.testclient import TestClient

from leaderboard.notifier import Notifier
from leaderboard.tokens import form_key
from leaderboard.web.app import create_app
from leaderboard.web.state import COOKIE
from tests.leaderboard.toys import free_port

BASE = "http://board.test"


class Browser:
    """A browser: it keeps cookies, and sends the headers that browsers send."""

    def __init__(self, app):
        self.client = TestClient(app, base_url=BASE, raise_server_exceptions=False)

    def get(self, path, **given):
        return self.client.get(path, follow_redirects=False, **given)

    def post(self, path, data=(), headers=None):
        sent = {"key": form_key(self.client.cookies[COOKIE])} if COOKIE in self.client.cookies else {}
        headers = {"Origin": BASE, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        return self.client.post(path, data={**sent, **dict(data)}, headers=headers, follow_redirects=False)

    def sign_in(self, token):
        assert self.post("/sign-in", {"token": token}).status_code == 303
        return self

    def told(self, path, data=()):
        """Post a form whose answer shows a secret once; return the secret."""
        answer = self.post(path, data)
        assert answer.status_code == 200, answer.text
        return re.search(r'<pre class="secret">([^<]*)</pre>', answer.text)[1].replace("&#43;", "+")

    def link_of(self, path, data=()):
        return self.told(path, data).partition("link=")[2]


class Mailbox:
    """What a mail server has taken: envelopes, and the messages as they came."""

    def __init__(self):
        self.envelopes = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.envelopes.append(envelope)
        return "250 taken"

    def link(self, number=-1):
        text = self.envelopes[number].content.decode()
        return re.search(r"\?link=([\w-]+)", text)[1]


@contextmanager
def mail_server(**given):
    """A mail server on loopback."""
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **given)
    controller.start()
    try:
        yield controller, box
    finally:
        controller.stop()


def only(user, password):
    """Let one user in."""

    def check(server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (user, password)
        return AuthResult(success=right)

    return check


def mail_settings(settings, port, **more):
    given = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "mail_from": "board@board.test"}
    return settings.model_copy(update={"base_url": BASE, **given, **more})


@contextmanager
def board_with(settings, database):
    """A running application with these settings, and a function that sends what waits."""
    app = create_app(settings, database)
    with TestClient(app):
        notifier = Notifier(database, settings)

        def send():
            sent = 0
            while notifier.run_once(mail=True) or notifier.run_once(mail=False):
                sent += 1
            return sent

        yield app, send
