"""The signing key of an installation: handing over from one to the next."""

import asyncio
import base64
import secrets
from pathlib import Path
from typing import Any

from app.container import Runtime
from app.holding import holding
from app.settings import NEXT_KEY, Settings, keep_secrets, kept_secrets
from app.store_use import Use
from app.tools import with_parts
from domain.clock import utc_now
from domain.journal.workspace import KeyRotated
from domain.ledger.rows import KeyRow
from domain.receipts.receipt import rotation_metadata
from domain.receipts.signing import Signer, parse_seed
from storage import private
from storage.database import Store
from storage.ledger import log_rows, signing_key_rows
from storage.migrate import bring_up_alone
from storage.transaction import Tx


def rotate_key(settings: Settings) -> dict[str, Any]:
    """Make a new signing key; the old one vouches for it in every log and signs no receipt after that.

    The new key is in a file before anything depends on it: broken off at any moment, the next call goes on.
    A key that was generated is replaced in `secrets.env`, and the old one kept beside it for checkpoints;
    one that was set stays where it is, and whoever set it is told what to do.
    """
    with holding(settings, name="keys rotate", use=Use.ALONE):
        bring_up_alone(settings.store_url, upgrade=settings.run_migrations_on_startup)
        return _rotate(settings)


def _rotate(settings: Settings) -> dict[str, Any]:
    assert settings.evidence_signing_key is not None
    old = settings.evidence_signing_key.get_secret_value()
    path = settings.pilot_data_dir / NEXT_KEY
    fresh, text = _next_key(path, old=old)
    logs = asyncio.run(_handed_over(settings, fresh))
    if logs is None:
        logs = with_parts(settings, lambda parts: _hand_over(parts, fresh))
    kept = kept_secrets(settings.pilot_data_dir)
    if kept.get("evidence_signing_key") == old:
        kept |= {"evidence_signing_key": text, "evidence_retiring_keys": old}
        where = keep_secrets(settings.pilot_data_dir, kept)
        path.unlink()
        todo = f"It is in {where}, with the former key for checkpoints. Start Pilot again."
    else:
        todo = (
            f"It is in {path}. Set EVIDENCE_SIGNING_KEY to it and EVIDENCE_RETIRING_KEYS to the former key, "
            "start Pilot again, then delete the file."
        )
    said = f"The new key {fresh.key_id} was recorded in {logs} {'log' if logs == 1 else 'logs'}. {todo}"
    return {"logs": logs, "keyId": fresh.key_id, "publicKey": fresh.public_hex, "said": said}


def _next_key(path: Path, *, old: str) -> tuple[Signer, str]:
    """The key of a rotation that broke off, or a new one, kept in `path`."""
    if path.exists():
        private.narrow(path)
        text = path.read_text().strip()
        # the file of the rotation before, which nobody deleted, is not the next one
        if text != old:
            return Signer(parse_seed(text)), text
    text = base64.b64encode(secrets.token_bytes(32)).decode()
    private.keep(path, text + "\n")
    return Signer(parse_seed(text)), text


async def _handed_over(settings: Settings, fresh: Signer) -> int | None:
    """How many logs name the key already, None when it was not handed over yet."""
    store = Store(settings.store_url)
    try:
        return await store.read(
            lambda tx: len(log_rows.logs(tx)) if signing_key_rows.is_known(tx, fresh.key_id) else None
        )
    finally:
        await store.close()


async def _hand_over(parts: Runtime, fresh: Signer) -> int:
    services = parts.services

    def turn(tx: Tx) -> int:
        logs = log_rows.logs(tx)
        for workspace_id in logs:
            services.recorder.record(
                tx, KeyRotated(workspace_id=workspace_id, key_id=fresh.key_id, metadata=rotation_metadata(fresh))
            )
        now = utc_now()
        signing_key_rows.retire(tx, services.ledger.signer.key_id, at_time=now)
        signing_key_rows.add(
            tx,
            KeyRow(key_id=fresh.key_id, name=fresh.name, public=fresh.public_hex, not_before=now, retired_at=None),
        )
        return len(logs)

    return await services.store.write(turn)
