"""A small SMTP server over real sockets, with faults that can be asked for."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Smtp:
    """What the server does and what it saw. `fault`: `drop_data`, `hang_data`, `drop_rcpt`, or `450 text` at DATA's end."""

    port: int = 0
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    refuse_rcpt: str = ""
    fault: str = ""
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        sender = to = ""
        await say("220 test ESMTP")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                await say("250-test")
                if self.tls and not writer.get_extra_info("ssl_object"):
                    await say("250-STARTTLS")
                await say("250 AUTH PLAIN")
            elif verb == "STARTTLS" and self.tls:
                await say("220 go")
                await writer.start_tls(self.tls)
            elif verb == "AUTH":
                want = base64.b64encode(f"\0{self.user}\0{self.password}".encode()).decode()
                await say("235 ok" if line.split(" ")[-1] == want else "535 no")
            elif verb == "MAIL":
                sender = line
                await say("250 ok")
            elif verb == "RCPT":
                if self.fault == "drop_rcpt":
                    return
                to = line
                await say(self.refuse_rcpt or "250 ok")
            elif verb == "DATA":
                await say("354 go")
                body = await reader.readuntil(b"\r\n.\r\n")
                if self.fault == "hang_data":
                    await reader.read()
                if self.fault == "drop_data":
                    return
                if self.fault:
                    await say(self.fault)
                    continue
                self.messages.append((sender, to, body[:-3]))
                self.secure.append(bool(writer.get_extra_info("ssl_object")))
                await say("250 taken")
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("502 what")


@contextlib.asynccontextmanager
async def smtp_server(*, implicit_tls: ssl.SSLContext | None = None, **how: object) -> AsyncIterator[Smtp]:
    """A server on loopback; `implicit_tls` speaks TLS from the first byte."""
    smtp = Smtp(**how)  # type: ignore[arg-type]
    server = await asyncio.start_server(smtp.talk, "127.0.0.1", 0, ssl=implicit_tls)
    async with server:
        smtp.port = server.sockets[0].getsockname()[1]
        yield smtp
