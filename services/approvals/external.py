"""Approvals for agents that are not ours: they ask, people decide, the answer is polled or called back."""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from domain.approvals.approval import Approval
from domain.bounded_json import BadJson, Bounds, measure
from domain.clock import Now
from domain.errors import Conflict, Invalid, NotFound
from domain.identity.actor import Actor
from domain.identity.permissions import Action, allows, require
from domain.ids import new_id
from domain.receipts.canonical import canonical_payload
from services.approvals.outcome import already_decided
from services.ledger.gate import answer_of
from services.ledger.recorder import Recorder
from services.lifecycle.requests import ApprovalRequests, Question
from services.platform.bus import Bus
from services.policy.service import PolicyService
from storage.approvals import approval_rows
from storage.database import Store
from storage.transaction import Tx
from storage.workspaces.vault import Vault

MAX_INPUT = 32 * 1024
# no more than this fits in so many bytes: a list of numbers has two for each
_INPUT = Bounds(size=MAX_INPUT, depth=1000, nodes=MAX_INPUT // 2 + 1)
MAX_URL = 2000
MAX_PENDING = 100
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=7)
LONGEST_WAIT = 60.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - how such secrets begin


def check_length(name: str, value: Mapping[str, Any]) -> None:
    """Invalid for a JSON value of more than `MAX_INPUT` bytes; a far larger one is not even written out."""
    try:
        measure(value, _INPUT)
        fits = len(canonical_payload(dict(value))) <= MAX_INPUT
    except BadJson:
        fits = False
    if not fits:
        raise Invalid.field(name, f"must be at most {MAX_INPUT} bytes of JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Where the outcome is to be sent, and the secret its signature is made with."""

    url: str
    secret: str


def webhook_key(secret: str) -> bytes:
    """The key of a Standard Webhooks secret: `whsec_...` is base64, others are plain text. ValueError for neither."""
    if secret.startswith(SECRET_PREFIX):
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    return secret.encode()


def callback_place(approval_id: str) -> str:
    """Where a callback secret is kept, for the vault."""
    return f"approvals/callback_secret/{approval_id}"


@dataclass(frozen=True, slots=True)
class ApprovalGateway:
    """Takes questions in and hands outcomes out. Who decides, how many and until when is the workspace's policy."""

    store: Store
    requests: ApprovalRequests
    policy_service: PolicyService
    recorder: Recorder
    vault: Vault
    bus: Bus
    now: Now

    async def ask(
        self, actor: Actor, question: Question, *, lasts: timedelta | None = None, callback: Callback | None = None
    ) -> Approval:
        """Put a question to the people who decide in this workspace.

        Invalid names the field that is wrong; Forbidden while the kill switch is on; Conflict when
        too many questions of this kind are open already.
        """
        require(actor, Action.APPROVAL_REQUEST)
        check_length("input", question.args)
        if lasts is not None and not SHORTEST <= lasts <= LONGEST:
            raise Invalid.field("expiresInSeconds", "must be between 60 and 604800")
        if callback is not None:
            _check_url(callback.url)
            _check_secret(callback.secret)
        approval_id = new_id()
        more: dict[str, Any] = {}
        if callback is not None:
            sealed = self.vault.seal(
                callback.secret, workspace_id=actor.in_workspace, place=callback_place(approval_id)
            )
            more = {"callback_url": callback.url, "callback_secret": sealed}

        def work(tx: Tx) -> Approval:
            workspace_id = actor.in_workspace
            self.policy_service.check_not_frozen(tx, workspace_id)
            check_room(tx, workspace_id)
            return self.requests.ask_for(
                tx,
                question,
                approval_id=approval_id,
                workspace_id=workspace_id,
                requested_by=actor.principal,
                lasts=lasts,
                **more,
            )

        return await self.store.workspace(actor.in_workspace).write(work)

    async def answer(self, actor: Actor, approval_id: str, *, wait: float = 0.0) -> Approval:
        """An approval once it is decided, or as it is after `wait` seconds.

        Who may only ask sees what they asked themselves; everything else is NotFound to them.
        """
        require(actor, Action.APPROVAL_REQUEST)
        loop = asyncio.get_running_loop()
        ends = loop.time() + min(wait, LONGEST_WAIT)
        with self.bus.listen(actor.in_workspace) as woken:
            while True:
                woken.clear()
                found = await self.store.read(lambda tx: self._answered(tx, actor.in_workspace, approval_id))
                if not allows(actor, Action.APPROVAL_READ) and found.requested_by != actor.principal:
                    raise NotFound("Approval not found")
                left = ends - loop.time()
                if not found.pending or left <= 0:
                    return found
                try:
                    # another process may have decided: looked up now and then even when nothing woke us
                    async with asyncio.timeout(min(left, 2.0)):
                        await woken.wait()
                except TimeoutError:
                    continue

    def _answered(self, tx: Tx, workspace_id: str, approval_id: str) -> Approval:
        """An approval whose answer somebody outside acts by; Altered when no signed receipt gave that answer."""
        found = approval_rows.get(tx, workspace_id, approval_id)
        answer_of(self.recorder.ledger, tx, found)
        return found

    async def withdraw(self, actor: Actor, approval_id: str) -> Approval:
        """Take one's own question back. NotFound for another's, Conflict or Gone when it is decided."""
        require(actor, Action.APPROVAL_REQUEST)

        def work(tx: Tx) -> Approval:
            found = approval_rows.get(tx, actor.in_workspace, approval_id, lock=True)
            if found.run_id is not None or found.requested_by != actor.principal:
                raise NotFound("Approval not found")
            if not self.requests.cancel(tx, found, by=actor.principal):
                raise already_decided(tx, found)
            return approval_rows.get(tx, actor.in_workspace, approval_id)

        return await self.store.workspace(actor.in_workspace).write(work)


def _check_secret(secret: str) -> None:
    """Invalid for a secret that says it is base64 and is not: the receiver could not make the same key of it."""
    try:
        webhook_key(secret)
    except ValueError:
        raise Invalid.field("callbackSecret", f"what follows {SECRET_PREFIX} must be base64") from None


def check_room(tx: Tx, workspace_id: str) -> None:
    """Conflict when too many questions of others are open already: people could not answer more."""
    if approval_rows.count_pending(tx, workspace_id, external=True) >= MAX_PENDING:
        raise Conflict(f"{MAX_PENDING} questions wait for an answer already", code="too_many_pending")


def _check_url(url: str) -> None:
    """Invalid for what cannot be called. Whether the address may be reached is found out when it is called."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid.field("callbackUrl", "is not a URL") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    if not plain or parts.scheme not in ("http", "https") or not host:
        raise Invalid.field("callbackUrl", f"must be an http or https URL of at most {MAX_URL} characters")
    if parts.username is not None or parts.password is not None:
        raise Invalid.field("callbackUrl", "must not hold a user name or password")
