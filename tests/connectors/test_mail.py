"""Mail over a real SMTP conversation, and into files."""

import email
import email.policy
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.mail import FileMailer, NoMailer, SmtpMailer, compose, parse_address
from domain.outside import ExternalError
from domain.ports import Mail
from storage import private
from tests.connectors.smtp_server import Smtp, smtp_server
from tests.connectors.test_http import certificate

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MAIL = Mail(
    to="ada@example.com", subject="Grüße ✓", text="Hello\n.\nÄnd", html="<b>Hello</b>", message_id="<k1@pilot.test>"
)


def mailer(smtp: Smtp, **more: object) -> SmtpMailer:
    return SmtpMailer(host="127.0.0.1", port=smtp.port, sender="Pilot <pilot@localhost>", **({"tls": "none"} | more))  # type: ignore[arg-type]


async def failure(it: SmtpMailer, mail: Mail = MAIL) -> ExternalError:
    with pytest.raises(ExternalError) as caught:
        await it.send(mail)
    return caught.value


async def test_a_message_arrives_whole() -> None:
    async with smtp_server() as smtp:
        await mailer(smtp).send(MAIL)
    sender, to, data = smtp.messages[0]
    assert "<pilot@localhost>" in sender
    assert "<ada@example.com>" in to
    got = email.message_from_bytes(data, policy=email.policy.SMTP)
    assert got["Subject"] == "Grüße ✓"
    assert got["From"] == "Pilot <pilot@localhost>"
    assert got["Message-ID"] == "<k1@pilot.test>"
    assert got.get_body(("plain",)).get_content().replace("\r\n", "\n") == "Hello\n..\nÄnd\n"  # type: ignore[union-attr]
    assert "<b>Hello</b>" in got.get_body(("html",)).get_content()  # type: ignore[union-attr]


async def test_login() -> None:
    async with smtp_server(user="u", password="p@ss") as smtp:
        await mailer(smtp, user="u", password="p@ss").send(MAIL)
        error = await failure(mailer(smtp, user="u", password="wrong"))
    assert len(smtp.messages) == 1
    assert (error.code, error.sent, error.retryable) == ("auth_failed", False, False)
    assert "wrong" not in str(error)


async def test_tls_from_the_first_byte_and_by_starttls(tmp_path: Path) -> None:
    server, _ = certificate(tmp_path, "localhost")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
    async with smtp_server(implicit_tls=server) as smtp:
        await SmtpMailer(host="localhost", port=smtp.port, sender="a@b.test", tls="tls", tls_context=trusting).send(
            MAIL
        )
        assert smtp.secure == [True]
    async with smtp_server(tls=server) as smtp:
        await SmtpMailer(host="localhost", port=smtp.port, sender="a@b.test", tls_context=trusting).send(MAIL)
        assert smtp.secure == [True]
        untrusting = SmtpMailer(host="localhost", port=smtp.port, sender="a@b.test")
        assert (await failure(untrusting)).sent is False
        assert len(smtp.messages) == 1


async def test_starttls_is_never_skipped() -> None:
    async with smtp_server() as smtp:
        error = await failure(mailer(smtp, tls="starttls"))
    assert error.sent is False
    assert smtp.messages == []


async def test_a_refused_person() -> None:
    async with smtp_server(refuse_rcpt="550 nobody here") as smtp:
        error = await failure(mailer(smtp))
    assert (error.code, error.sent, error.retryable) == ("refused", False, False)
    assert "nobody here" in str(error)


async def test_a_message_refused_for_now() -> None:
    async with smtp_server(fault="451 later") as smtp:
        error = await failure(mailer(smtp))
    assert (error.code, error.sent, error.retryable) == ("refused", False, True)


@pytest.mark.parametrize(("fault", "sent"), [("drop_rcpt", False), ("drop_data", True)])
async def test_a_dropped_connection(fault: str, sent: bool) -> None:
    async with smtp_server(fault=fault) as smtp:
        error = await failure(mailer(smtp))
    assert (error.code, error.sent, error.retryable) == ("protocol_error", sent, True)


async def test_no_answer_to_the_message() -> None:
    async with smtp_server(fault="hang_data") as smtp:
        error = await failure(mailer(smtp, timeout=3))
    assert (error.code, error.sent) == ("timeout", True)


async def test_no_server() -> None:
    async with smtp_server() as smtp:
        pass
    assert (await failure(mailer(smtp))).code == "connect_failed"


@pytest.mark.parametrize(
    ("to", "subject", "message_id"),
    [
        ("a@example.com", "x\r\nBcc: evil@example.com", ""),
        ("a@example.com", "x\nBcc: evil@example.com", ""),
        ("a@example.com\r\nBcc: evil@example.com", "x", ""),
        ("a@example.com, evil@example.com", "x", ""),
        ("a@example.com", "x", "<a@b>\r\nBcc: evil@example.com"),
        ("a@example.com", "x", "no brackets"),
    ],
)
def test_headers_cannot_be_injected(to: str, subject: str, message_id: str) -> None:
    with pytest.raises(ExternalError) as caught:
        compose(Mail(to=to, subject=subject, text="t", message_id=message_id), sender="p@x.test", now=NOW)
    assert (caught.value.code, caught.value.sent) == ("bad_message", False)


def test_a_body_cannot_become_a_header() -> None:
    data = compose(
        Mail(to="a@example.com", subject="s", text="Bcc: x@example.com\r\n\r\n--b\ud800"), sender="p@x.test", now=NOW
    ).as_bytes()
    assert b"bcc" not in data.split(b"\r\n\r\n")[0].lower()


def test_good_addresses() -> None:
    assert parse_address("  Ada.L+x@Example.COM ") == "Ada.L+x@example.com"
    assert parse_address("a@bücher.example") == "a@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "text",
    ["", "a", "@b.c", "a@", "a@b", "a b@c.de", "a@b..c", "a@-b.de", "a@[127.0.0.1]", "a@127.0.0.1", '"a"@b.de', "A <a@b.de>",
     "a@b.de,c@d.de", "a@b.de\n", "é@b.de", ".a@b.de", "a..b@c.de", "a" * 65 + "@b.de", "a@" + "b" * 64 + ".de", "a@b.de\x00"],
)  # fmt: skip
def test_bad_addresses(text: str) -> None:
    if text == "a@b.de\n":
        assert parse_address(text) == "a@b.de"
        return
    with pytest.raises(ValueError, match="mail address"):
        parse_address(text)


async def test_mail_into_files(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    it = FileMailer(folder=folder, sender="Pilot <p@localhost>", keep=private.keep, now=lambda: NOW)
    await it.send(MAIL)
    await it.send(MAIL)
    await it.send(Mail(to="b@example.com", subject="two", text="x"))
    files = sorted(folder.iterdir())
    assert len(files) == 2
    assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in files)
    subjects = {email.message_from_bytes(f.read_bytes(), policy=email.policy.SMTP)["Subject"] for f in files}
    assert subjects == {"Grüße ✓", "two"}


async def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExternalError) as caught:
        await FileMailer(folder=tmp_path / "file", sender="p@localhost", keep=private.keep).send(MAIL)
    assert caught.value.sent is False


async def test_mail_switched_off_says_so() -> None:
    with pytest.raises(ExternalError, match="switched off"):
        await NoMailer().send(MAIL)
