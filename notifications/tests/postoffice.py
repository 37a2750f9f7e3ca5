"""A mail server on loopback that answers as a test says, and writes down every mail that it took."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from email import message_from_bytes
from email.message import Message as Mail
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

SILENCE = "silence"  # no answer, longer than anybody waits
GONE = "gone"  # the connection is cut

Mood = str | Callable[[], str | None]


class PostOffice:
    """Takes mail unless `moods` has another answer for the command, or for the command and its address.

    The commands are CONNECT, EHLO, AUTH, MAIL, RCPT, DATA, TAKEN and QUIT; at TAKEN the mail is in the ledger, and only
    the answer is missing. A mood is an answer such as "450 Later", SILENCE, GONE, or a function that is called and
    gives one of these or None.
    """

    def __init__(self) -> None:
        self.moods: dict[str, Mood] = {}
        self.ledger: list[Mail] = []
        self.commands: list[str] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._windows: list[Window] = []
        self._up: Future[int] = Future()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "PostOffice":
        self._thread.start()
        self.port = self._up.result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def taken(self) -> list[tuple[str, str]]:
        """(recipient, key) of each mail in the ledger."""
        return [(mail["To"], mail["X-Idempotency-Key"]) for mail in self.ledger]

    def heard(self, command: str) -> int:
        return self.commands.count(command)

    # --- the thread -------------------------------------------------------------------------------
    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(self._loop.create_server(self._window, "127.0.0.1", 0))
        self._up.set_result(server.sockets[0].getsockname()[1])
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._shut())
        self._loop.close()

    async def _shut(self) -> None:
        for window in self._windows:
            window.cut_off()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _window(self) -> SMTP:
        options: dict[str, Any] = {"auth_require_tls": False, "loop": self._loop}
        self._windows.append(Window(self, authenticator=lambda *_: self._login(), **options))
        return self._windows[-1]

    def _login(self) -> AuthResult:
        mood = self.moods.get("AUTH")
        return AuthResult(success=mood is None, message=mood if isinstance(mood, str) else None, handled=False)

    async def mood(self, server: SMTP, command: str, address: str = "") -> str | None:
        """What to answer instead of the usual."""
        self.commands.append(command)
        mood = self.moods.get(f"{command} {address}", self.moods.get(command))
        answer = await asyncio.to_thread(mood) if callable(mood) else mood
        if answer == SILENCE:
            await asyncio.sleep(60)
        if answer == GONE and isinstance(server, Window):
            server.cut_off()
        return answer

    # --- aiosmtpd's hooks -------------------------------------------------------------------------
    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        answer = await self.mood(server, "EHLO")
        return [answer] if answer else responses

    async def handle_HELO(  # noqa: N802
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str
    ) -> str:
        session.host_name = hostname
        return await self.mood(server, "EHLO") or "250 postoffice"

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self.mood(server, "MAIL") or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self.mood(server, "RCPT", address) or "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        refusal = await self.mood(server, "DATA")
        if refusal:
            return refusal
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content)
        mail["Envelope-To"] = ", ".join(envelope.rcpt_tos)
        self.ledger.append(mail)
        return await self.mood(server, "TAKEN") or "250 OK"

    async def handle_QUIT(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return await self.mood(server, "QUIT") or "221 Bye"


class Window(SMTP):
    """One conversation, whose first words may have a mood too."""

    def __init__(self, office: PostOffice, **options: Any) -> None:
        super().__init__(office, hostname="postoffice", **options)
        self.office = office

    def cut_off(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    async def _handle_client(self) -> None:
        answer = await self.office.mood(self, "CONNECT")
        if answer is None:
            await super()._handle_client()
        elif self.transport is not None:
            if answer != GONE:
                await self.push(answer)
            self.transport.close()
