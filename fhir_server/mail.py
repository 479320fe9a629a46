"""E-mail, sent by the SMTP server of the settings, in a thread: https://www.rfc-editor.org/rfc/rfc5321"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from fhir_server.config import Settings

log = structlog.get_logger(__name__)

SECONDS = 20
AT_ONCE = 4
MAX_WAITING = 256


class Mail:
    """The way out: `smtp://host:25`, `smtp://user:password@host:587?starttls=true` or `smtps://…`."""

    def __init__(self, settings: Settings) -> None:
        self._url = urlsplit(settings.smtp_url)
        self._sender = settings.mail_from
        self._sending: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._tls = ssl.create_default_context() if self._url.scheme == "smtps" or self._starts_tls else None

    @property
    def is_configured(self) -> bool:
        return self._url.scheme in ("smtp", "smtps") and bool(self._url.hostname) and bool(self._sender)

    @property
    def _starts_tls(self) -> bool:
        return parse_qs(self._url.query).get("starttls", ["false"])[0] == "true"

    def post(self, to: str, subject: str, text: str) -> None:
        """Send it in the background: an answer must not tell by its time whether there was something to send."""
        if not self.is_configured:
            log.warning("e-mail is not configured: set FHIR_SMTP_URL and FHIR_MAIL_FROM", subject=subject)
        elif len(self._sending) >= MAX_WAITING:
            log.warning("an e-mail was not sent: too many wait", subject=subject)
        else:
            task = asyncio.create_task(self._try(to, subject, text))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def finish(self) -> None:
        """Return when nothing is being sent any more."""
        await asyncio.gather(*self._sending)

    def message(self, to: str, subject: str, text: str) -> EmailMessage:
        """The message, to which its sender may add. Raises ValueError for an address or a subject of two lines."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    async def send(self, message: EmailMessage) -> None:
        """Send it now. Raises OSError or smtplib.SMTPException."""
        async with self._turn:
            await asyncio.to_thread(self._deliver, message)

    async def _try(self, to: str, subject: str, text: str) -> None:
        try:
            await self.send(self.message(to, subject, text))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            log.error("an e-mail was not sent", subject=subject, exception=type(error).__name__)

    def _deliver(self, message: EmailMessage) -> None:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port or 465, timeout=SECONDS, context=self._tls)
        else:
            connection = smtplib.SMTP(host, port or 25, timeout=SECONDS)
        with connection:
            if self._starts_tls:
                connection.starttls(context=self._tls)
            if self._url.username:
                connection.login(unquote(self._url.username), unquote(self._url.password or ""))
            connection.send_message(message)
