"""Send e-mails by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from .members import check_email
from .outgoing import Message
from .settings import Settings

TIMEOUT_SECONDS = 20.0


def make_email(settings: Settings, message: Message) -> EmailMessage:
    """Write an e-mail. Line breaks in a header are refused by the library, whatever the text is made of.

    Raises:
        ValueError: a header is invalid.
    """
    sender = settings.mail_from or ""
    email = EmailMessage(policy=SMTP)
    email["Subject"] = message.body["subject"]
    email["From"] = Address(settings.title, addr_spec=sender)
    email["To"] = Address(addr_spec=check_email(message.address))
    email["Date"] = formatdate()
    email["Message-ID"] = make_msgid(message.id, domain=sender.rpartition("@")[2])
    email["Auto-Submitted"] = "auto-generated"  # so that no absence notice answers (RFC 3834)
    email.set_content(message.body["text"])
    return email


def send_mail(settings: Settings, message: Message) -> str | None:
    """Send an e-mail; return why the server did not take it, or None."""
    if settings.smtp_host is None:
        return "no mail server is set"
    try:
        email = make_email(settings, message)
        with _connect(settings, settings.smtp_host) as server:
            if settings.smtp_user is not None and settings.smtp_password is not None:
                server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
            server.send_message(email)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return None


def _connect(settings: Settings, host: str) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(host, settings.smtp_port, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, settings.smtp_port, timeout=TIMEOUT_SECONDS)
    if settings.smtp_security == "starttls":
        server.starttls(context=context)  # raises where the server does not offer it, so nothing is sent in the clear
    return server
