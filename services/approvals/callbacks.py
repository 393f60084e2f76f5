"""Tells agents that are not ours what became of their questions: signed POSTs, as Standard Webhooks describes them.

Specification: standardwebhooks.com. `webhook-id` stays the same when a message is sent again.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from domain.approvals.approval import Approval, ApprovalStatus
from domain.backoff import Backoff
from domain.clock import Now, iso
from domain.errors import NotFound
from domain.integrity import Altered
from domain.journal.approvals import CallbackFailed
from domain.outbox.message import Message
from domain.outbox.notifications import CallbackNotice, notice_of
from domain.outside import ExternalError
from domain.ports import Http
from domain.workspaces.secret import CannotOpen
from services.approvals.external import callback_place, webhook_key
from services.ledger.append import Ledger
from services.ledger.gate import answer_of
from services.ledger.recorder import Recorder
from services.lifecycle.approvals import CALLBACK_TOPIC
from services.outbox.delivery import Delivery
from services.platform.bus import Bus
from storage.approvals import approval_rows
from storage.database import Store
from storage.outbox import recipient_rows
from storage.transaction import Tx
from storage.workspaces.vault import Vault

# with these pauses a receiver may be down for about a day
BACKOFF = Backoff(first=2.0, longest=3600.0, tries=30)
SECONDS = 15.0
# a receiver that says so means "later"
AGAIN = (408, 425, 429)


def signature(secret: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """`v1,<base64 of HMAC-SHA256>` over `id.timestamp.body`."""
    signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(webhook_key(secret), signed, hashlib.sha256)).decode()}"


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Sends the outcome as it stands at the moment of sending."""

    store: Store
    bus: Bus
    http: Http
    vault: Vault
    recorder: Recorder
    now: Now

    def queue(self) -> Delivery:
        """The outbox channel `callback`."""
        return Delivery(
            store=self.store,
            bus=self.bus,
            now=self.now,
            channel="callback",
            topic=CALLBACK_TOPIC,
            send=self._send,
            sent=lambda _tx, _message: None,
            given_up=self._given_up,
            backoff=BACKOFF,
        )

    async def _send(self, message: Message) -> None:
        try:
            found = await self.store.read(lambda tx: _outcome(self.recorder.ledger, tx, message))
        except Altered as altered:
            # nobody outside is told what nobody here has signed
            raise ExternalError(str(altered), code=altered.code, sent=False, retryable=False) from altered
        if found is None:
            return
        approval, name = found
        assert approval.callback_url is not None
        assert approval.callback_secret is not None
        try:
            secret = self.vault.open(
                approval.callback_secret, workspace_id=approval.workspace_id, place=callback_place(approval.id)
            )
        except CannotOpen as error:
            raise ExternalError("the callback secret cannot be opened", code="decryption_failed", sent=False) from error
        body, at = orjson.dumps(_body(approval, name)), self.now()
        answer = await self.http.request(
            "POST",
            approval.callback_url,
            headers={
                "content-type": "application/json",
                "webhook-id": message.id,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": signature(secret, message_id=message.id, at=at, body=body),
            },
            content=body,
            max_bytes=1000,
            timeout=SECONDS,
            # a receiver that moved has not taken the message
            follow=False,
        )
        if not 200 <= answer.status < 300:
            raise ExternalError(
                f"the receiver answered {answer.status}",
                code=f"status_{answer.status}",
                retryable=answer.status >= 500 or answer.status in AGAIN,
            )

    def _given_up(self, tx: Tx, message: Message, error: ExternalError) -> None:
        notice = notice_of(message.payload)
        assert message.workspace_id is not None
        assert isinstance(notice, CallbackNotice)
        self.recorder.record(
            tx,
            CallbackFailed(
                workspace_id=message.workspace_id,
                approval_id=notice.approval_id,
                code=error.code,
                attempts=message.attempts + 1,
            ),
        )


def _outcome(ledger: Ledger, tx: Tx, message: Message) -> tuple[Approval, str | None] | None:
    """The approval and who decided it; None when it is gone, and nobody is owed an answer."""
    notice = notice_of(message.payload)
    if message.workspace_id is None or not isinstance(notice, CallbackNotice):
        return None
    try:
        approval = approval_rows.get(tx, message.workspace_id, notice.approval_id)
    except NotFound:
        return None
    answer_of(ledger, tx, approval)
    return approval, recipient_rows.name_of_principal(tx, approval.resolved_by)


def _body(approval: Approval, name: str | None) -> Mapping[str, object]:
    return {
        "type": "approval.resolved",
        "timestamp": iso(approval.resolved_at),
        "data": {
            "id": approval.id,
            "workspaceId": approval.workspace_id,
            "action": approval.action,
            "actionHash": approval.action_hash,
            "status": approval.status.value,
            "approved": approval.status is ApprovalStatus.APPROVED,
            "note": approval.resolution_note,
            "resolvedBy": approval.resolved_by,
            "resolvedByName": name,
            "resolvedVia": approval.resolved_via,
            "resolvedAt": iso(approval.resolved_at),
            "requestedAt": iso(approval.requested_at),
        },
    }
