"""The process that sends what waits to be sent: e-mails, and events for webhooks."""

from __future__ import annotations

import logging
import threading

from .availability import UnavailableError
from .database import Database
from .logs import log, say
from .mail import send_mail
from .outgoing import Message, claim_message, finish_message, is_due
from .settings import Settings
from .webhooks import send_event

_PAUSE_SECONDS, _LONG_PAUSE = 1.0, 8.0
_EVENT_THREADS = 4


class Notifier:
    """Sends messages: e-mails in one thread, events in others, so that slow receivers do not keep back e-mails."""

    def __init__(self, database: Database, settings: Settings, stop: threading.Event | None = None) -> None:
        self.database, self.settings = database, settings
        self.stop = stop or threading.Event()

    def run(self) -> None:
        """Send until stopped. While the database is unavailable, wait for it."""
        say("notifier started")
        threads = [threading.Thread(target=self._work, args=(mail,)) for mail in (True, *[False] * _EVENT_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        say("notifier stopped")

    def _work(self, mail: bool) -> None:
        while not self.stop.is_set():
            try:
                if not self.run_once(mail=mail):
                    self.stop.wait(_PAUSE_SECONDS)
            except UnavailableError as error:
                say("database unavailable", logging.ERROR, cause=error.cause.value, reason=error.reason)
                self.stop.wait(_LONG_PAUSE)
            except Exception:  # nobody would notice that a thread has ended
                log.exception("fault")
                self.stop.wait(_LONG_PAUSE)

    def run_once(self, *, mail: bool) -> bool:
        """Try to send one e-mail, or one event. Return False if none is due."""
        with self.database.read() as session:
            if not is_due(session, mail=mail):
                return False
        with self.database.write() as session:
            message = claim_message(session, mail=mail)
        if message is None:  # another one was faster
            return False
        fault = self._try(message)
        with self.database.write() as session:
            finish_message(session, message, fault)
        if fault is not None:
            facts = {"message": message.id, "attempt": message.attempts, "fault": fault}
            say("message not taken", logging.WARNING, kind="e-mail" if mail else "event", **facts)
        return True

    def _try(self, message: Message) -> str | None:
        """Send a message. One at which the program itself fails counts as not taken, and is given up in the end."""
        try:
            return self._send(message)
        except Exception as error:
            log.exception("fault", extra={"facts": {"message": message.id}})
            return f"a fault of the board: {type(error).__name__}"

    def _send(self, message: Message) -> str | None:
        if message.secret is None:
            return send_mail(self.settings, message)
        return send_event(message, message.secret, private=self.settings.private_webhooks)
