"""An OpenID Connect provider on loopback, as Telegram Login is one: discovery, consent, code with PKCE, ID token.

It checks what a provider checks, and can be told to do wrong.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CLIENT, SECRET = "7000000001", "client-" + "s" * 24


def _keys() -> dict[str, tuple[str, Any]]:
    return {
        "rsa": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "ec": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    }


KEYS = _keys()
OTHER = _keys()


def public(name: str) -> dict[str, Any]:
    algorithm, key = KEYS[name]
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)  # type: ignore[attr-defined]
    return {**made, "kid": name, "use": "sig"}


@dataclass
class Issuer:
    """`claims` are added to the token (None leaves one out); `key` signs; `forged` signs with a key not listed."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    key: str = "rsa"
    forged: bool = False
    header: dict[str, Any] = field(default_factory=dict)
    listed: tuple[str, ...] = ("rsa", "ec", "ed")
    about: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    denies: bool = False
    raw_token: str | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.down:
            return web.Response(status=503)
        answer: web.StreamResponse = await getattr(
            self, "_" + request.path.rpartition("/")[2].partition(".")[0].replace("-", "_")
        )(request)
        return answer

    async def _openid_configuration(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks.json",
                **self.about,
            }
        )

    async def _jwks(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [public(name) for name in self.listed]})

    async def _auth(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        back = {"state": asked["state"]}
        if self.denies:
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.codes[back["code"]] = asked
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(back)}")

    async def _token(self, request: web.Request) -> web.Response:
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return web.json_response({"error": "invalid_client"}, status=401)
        form = await request.post()
        asked = self.codes.pop(str(form["code"]), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if (
            asked is None
            or challenge.rstrip(b"=").decode() != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"token_type": "Bearer", "id_token": self.raw_token or self._id_token(asked["nonce"])})

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "4711",
            "id": 4711,
            "iat": now,
            "exp": now + 600,
            "nonce": nonce,
            "name": "Ada Lovelace",
            "preferred_username": "ada",
            "picture": "https://t.me/i/userpic/320/ada.jpg",
            **self.claims,
        }
        algorithm, key = (OTHER if self.forged else KEYS)[self.key]
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, key, algorithm=algorithm, headers={"kid": self.key, **self.header})

    def unsigned(self, nonce: str = "") -> str:
        """A token that says of itself that it needs no signature."""
        parts = ({"alg": "none", "kid": "rsa"}, {"iss": self.url, "aud": CLIENT, "sub": "1", "nonce": nonce})
        return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


@asynccontextmanager
async def open_issuer() -> AsyncIterator[Issuer]:
    """The provider on a free port."""
    issuer = Issuer()
    app = web.Application()
    app.router.add_route("*", "/{path:.+}", issuer.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield issuer
    finally:
        await runner.cleanup()
