"""Encryption at rest: AES-256-GCM under a key derived per workspace, bound to the place where it is stored."""

import base64
import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.workspaces.secret import CannotOpen


def hash_token(token: str) -> str:
    """64 hex digits: how tokens of high entropy are kept and looked up."""
    return hashlib.sha256(token.encode()).hexdigest()


class Vault:
    """Seals and opens secrets. `master` is ENCRYPTION_KEY; each workspace has a key of its own derived from it."""

    def __init__(self, master: str) -> None:
        self._master = hashlib.sha256(master.encode()).digest()

    def _key(self, context: str) -> bytes:
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"pilot:{context}".encode()).derive(
            self._master
        )

    def seal(self, text: str, *, workspace_id: str, place: str) -> str:
        """`text` encrypted; it opens only for the same workspace and place (`table/column/row`)."""
        return _seal(self._key(workspace_id), text, place)

    def open(self, sealed: str, *, workspace_id: str, place: str) -> str:
        """The reverse of `seal`; CannotOpen when key, workspace, place or bytes differ."""
        return _open(self._key(workspace_id), sealed, place)


def seal_under(token: str, text: str) -> str:
    """`text` readable only by whoever presents `token` (a session's successor under the old token)."""
    return _seal(_token_key(token), text, "successor")


def open_under(token: str, sealed: str) -> str:
    """The reverse of `seal_under`."""
    return _open(_token_key(token), sealed, "successor")


def _token_key(token: str) -> bytes:
    return hmac.new(b"pilot:successor", token.encode(), hashlib.sha256).digest()


def _seal(key: bytes, text: str, place: str) -> str:
    nonce = os.urandom(12)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), place.encode())).decode()


def _open(key: bytes, sealed: str, place: str) -> str:
    data = base64.b64decode(sealed)
    try:
        return AESGCM(key).decrypt(data[:12], data[12:], place.encode()).decode()
    except InvalidTag:
        raise CannotOpen from None
