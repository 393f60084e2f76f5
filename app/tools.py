"""What the command line does with an installation that need not be running."""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from app.container import Parts, open_services
from app.settings import Settings
from domain.audit import AuditAction
from domain.clock import utc_now
from domain.policy.sidecar import sidecar_files
from domain.receipts.receipt import rotation_metadata
from domain.receipts.signing import Signer
from services.ledger import Facts
from storage import receipts
from storage.database import Tx
from storage.receipts import KeyRow

T = TypeVar("T")


def with_parts(settings: Settings, work: Callable[[Parts], Awaitable[T]]) -> T:
    """Do `work` with everything the installation has, open for that long; the engine is not started."""

    async def go() -> T:
        async with open_services(settings) as parts:
            return await work(parts)

    return asyncio.run(go())


def replay_receipts(settings: Settings, workspace_id: str, receipt_id: str | None) -> list[dict[str, Any]]:
    """Decide again what the receipts of a workspace say was decided."""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        service = parts.services.receipts
        found = await parts.services.store.read(
            lambda tx: service.replay_in(tx, workspace_id, receipt_id, limit=1_000_000)
        )
        return [
            {
                "receiptId": r.receipt_id,
                "tool": r.tool,
                "recorded": r.recorded,
                "replayed": r.replayed,
                "same": r.same,
            }
            for r in found
        ]

    return with_parts(settings, work)


def export_sidecar_policy(settings: Settings, workspace_id: str, folder: Path) -> list[Path]:
    """Write a workspace's policy as a HELM sidecar reads it; the files."""

    async def work(parts: Parts) -> dict[str, str]:
        services = parts.services
        policy, _ = await services.store.read(lambda tx: services.governor.policy(tx, workspace_id))
        return sidecar_files(policy, services.toolbox.specs)

    files = with_parts(settings, work)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, text in files.items():
        path = folder / name
        path.write_text(text)
        written.append(path)
    return written


def rotate_key(settings: Settings) -> dict[str, Any]:
    """Make a new signing key; the old one vouches for it in every log.

    Development: the new key replaces the old one in `secrets.env`. Production: it is printed, to
    be put into the settings by whoever runs this.
    """
    seed = secrets.token_bytes(32)
    fresh = Signer(seed)
    text = base64.b64encode(seed).decode()

    async def work(parts: Parts) -> int:
        services = parts.services

        def turn(tx: Tx) -> int:
            now = utc_now()
            logs = receipts.logs(tx)
            for workspace_id in logs:
                services.recorder.record(
                    tx,
                    workspace_id=workspace_id,
                    actor="system",
                    action=AuditAction.KEY_ROTATED,
                    target=fresh.key_id,
                    facts=Facts(kind="key_rotation", metadata=dict(rotation_metadata(fresh))),
                )
            receipts.retire_key(tx, services.ledger.signer.key_id, at_time=utc_now())
            receipts.add_key(
                tx,
                KeyRow(key_id=fresh.key_id, name=fresh.name, public=fresh.public_hex, not_before=now, retired_at=None),
            )
            return len(logs)

        return await services.store.write(turn)

    count = with_parts(settings, work)
    if settings.production:
        said = f"{count} logs name the new key. Set EVIDENCE_SIGNING_KEY={text} and restart."
    else:
        path = settings.pilot_data_dir / "secrets.env"
        old = "" if settings.evidence_signing_key is None else settings.evidence_signing_key.get_secret_value()
        path.write_text(path.read_text().replace(old, text))
        said = f"{count} logs name the new key {fresh.key_id}; {path} holds it. Restart Pilot."
    return {"logs": count, "keyId": fresh.key_id, "publicKey": fresh.public_hex, "said": said}
