"""`email.send`: a mail to somebody outside."""

from collections.abc import Mapping
from typing import Any

from domain.governance import Effect
from domain.outside import OutsideError
from domain.ports import Mail, Mailer
from domain.tools import Outcome, OutcomeStatus, ToolContext, ToolSpec


class EmailSend:
    spec = ToolSpec(
        name="email.send",
        summary="Send a mail.",
        parameters={
            "type": "object",
            "properties": {
                "to": {"type": "string", "minLength": 3, "maxLength": 254, "pattern": "^[^@\\s]+@[^@\\s]+$"},
                "subject": {"type": "string", "minLength": 1, "maxLength": 300},
                "body": {"type": "string", "minLength": 1, "maxLength": 50_000},
            },
            "required": ["to", "subject", "body"],
            "additionalProperties": False,
        },
        effect=Effect.E3,
    )

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    async def run(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome:
        """`{to, messageId}`. A break after handing over is raised: it may be on its way."""
        mail = Mail(to=args["to"], subject=args["subject"], text=args["body"], message_id=context.idempotency_key)
        try:
            await self._mailer.send(mail)
        except OutsideError as error:
            if error.sent:
                raise
            return Outcome(status=OutcomeStatus.FAILED, error=f"email.send: {error}")
        return Outcome(status=OutcomeStatus.DONE, output={"to": args["to"], "messageId": context.idempotency_key})

    async def look_up(self, context: ToolContext, args: Mapping[str, Any]) -> Outcome | None:
        """A mail server cannot be asked."""
        del context, args
        return None
