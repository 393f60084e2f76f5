"""The mail tool, over a real SMTP conversation."""

import pytest

from connectors.mail import SmtpMailer
from connectors.tools.mail import EmailSend
from domain.outside import ExternalError
from domain.tools.tool import OutcomeStatus, ToolContext
from tests.connectors.smtp_server import Smtp, smtp_server

CONTEXT = ToolContext(workspace_id="w", task_id="t", run_id="r", step_id="s", user_id=None, idempotency_key="key 1>")
ARGS = {"to": "ada@example.com", "subject": "Hi", "body": "Hello"}


def tool(smtp: Smtp) -> EmailSend:
    return EmailSend(
        SmtpMailer(host="127.0.0.1", port=smtp.port, sender="p@localhost", tls="none"), domain="pilot.test"
    )


async def test_a_mail_is_sent_with_the_key_as_its_id() -> None:
    async with smtp_server() as smtp:
        got = await tool(smtp).run(CONTEXT, ARGS)
    assert got.status is OutcomeStatus.DONE
    assert got.output == {"to": "ada@example.com", "messageId": "<key-1-@pilot.test>"}
    assert b"Message-ID: <key-1-@pilot.test>" in smtp.messages[0][2]


async def test_a_bad_address_is_a_failure() -> None:
    async with smtp_server() as smtp:
        got = await tool(smtp).run(CONTEXT, ARGS | {"to": "a@b, c@d.de"})
    assert got.status is OutcomeStatus.FAILED
    assert smtp.messages == []


async def test_a_refusal_is_a_failure_with_the_servers_words() -> None:
    async with smtp_server(refuse_rcpt="550 nobody") as smtp:
        got = await tool(smtp).run(CONTEXT, ARGS)
    assert got.status is OutcomeStatus.FAILED
    assert "550 nobody" in got.error


async def test_a_mail_that_may_have_been_taken_goes_up() -> None:
    async with smtp_server(fault="drop_data") as smtp:
        with pytest.raises(ExternalError) as caught:
            await tool(smtp).run(CONTEXT, ARGS)
    assert caught.value.sent is True
