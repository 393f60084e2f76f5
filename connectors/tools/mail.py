"""The tool that sends mail."""

import re
from collections.abc import Mapping
from typing import Any

from connectors.mail import parse_address
from domain.outside import ExternalError
from domain.ports import Mail, Mailer
from domain.tools.effect import Effect
from domain.tools.tool import ACTING_MODES, Outcome, OutcomeStatus, ToolContext, ToolSpec

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


class EmailSend:
    """Sends one plain mail to one person. `domain` is the right side of the Message-ID."""

    spec = ToolSpec(
        name="email.send",
        summary="Send a plain text e-mail to one address.",
        parameters={
            "type": "object",
            "properties": {
                "to": {"type": "string", "minLength": 3, "maxLength": 254, "description": "One mail address"},
                "subject": {"type": "string", "minLength": 1, "maxLength": 300, "pattern": "^[^\\r\\n]*$"},
                "body": {"type": "string", "minLength": 1, "maxLength": 100_000},
            },
            "required": ["to", "subject", "body"],
            "additionalProperties": False,
        },
        modes=ACTING_MODES,
        effect=Effect.E3,
        idempotent=False,
    )

    def __init__(self, mailer: Mailer, *, domain: str = "pilot.invalid") -> None:
        self._mailer = mailer
        self._domain = domain

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """Hand the mail to the server. An ExternalError goes up when it may have been taken after all."""
        message_id = f"<{_UNSAFE.sub('-', context.idempotency_key)}@{self._domain}>"
        try:
            to = parse_address(args["to"])
            await self._mailer.send(Mail(to=to, subject=args["subject"], text=args["body"], message_id=message_id))
        except ValueError as error:
            return Outcome(status=OutcomeStatus.FAILED, error=f"to: {error}")
        except ExternalError as error:
            if error.sent:
                raise
            return Outcome(
                status=OutcomeStatus.FAILED, error=f"the mail was not sent: {error}", output={"code": error.code}
            )
        return Outcome(status=OutcomeStatus.DONE, output={"to": to, "messageId": message_id})

    async def find_outcome(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """SMTP has no way to ask."""
        del context, args
        return None
