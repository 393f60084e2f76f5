"""An OpenID Connect provider over HTTP: discovery, the code for an ID token, and every check of that token."""

import asyncio
import base64
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt

from domain.bounded_json import BadJson, Bounds, loads
from domain.clock import Now
from domain.errors import Unauthorized
from domain.identity.initdata import clean_photo, clean_text
from domain.outside import ExternalError
from domain.ports import Http, ProvenPerson

SCOPES = "openid profile"
# by the kind of key, never by what the token says of itself
ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
LEEWAY = timedelta(seconds=60)
KEPT = timedelta(hours=1)
# a token with a key id nobody knows must not make us ask for keys at any speed
KEYS_PAUSE = timedelta(seconds=30)
CAP = 200_000
MAX_URL = 2000
MAX_TOKEN = 16_000
MAX_KEYS = 100
DOCUMENT = Bounds(size=CAP, depth=20, nodes=5000)


@dataclass(slots=True)
class _Known:
    """What the provider said of itself, and when."""

    at: datetime
    about: dict[str, str]
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    keys_at: datetime | None = None


class OpenIdProvider:
    """`domain.ports.LoginProvider`. `issuer` is its address, compared to the letter; every endpoint must be its own."""

    def __init__(self, http: Http, *, issuer: str, client_id: str, client_secret: str, now: Now) -> None:
        self._http = http
        self._issuer = issuer
        self._client_id = client_id
        self._secret = client_secret
        self._now = now
        self._known: _Known | None = None
        self._asking = asyncio.Lock()

    async def authorize_url(self, *, state: str, nonce: str, challenge: str, redirect_uri: str) -> str:
        """Where to send the browser."""
        known = await self._provider()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{known.about['authorization_endpoint']}?{urlencode(asked)}"

    async def redeem(self, code: str, *, verifier: str, nonce: str, redirect_uri: str) -> ProvenPerson:
        """Who came back with this code."""
        known = await self._provider()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "code_verifier": verifier,
        }
        pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"
        answer = await self._http.request(
            "POST",
            known.about["token_endpoint"],
            headers={
                "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            content=urlencode(form).encode(),
            max_bytes=CAP,
        )
        if 400 <= answer.status < 500:
            raise Unauthorized("Telegram did not accept this login: begin again", code="oidc_refused")
        token = _object(answer.status, answer.body, what="token endpoint").get("id_token")
        if not isinstance(token, str) or len(token) > MAX_TOKEN:
            raise _broken("token endpoint")
        return _person(await self._claims(token, nonce=nonce))

    async def _claims(self, token: str, *, nonce: str) -> dict[str, Any]:
        try:
            _check_parts(token)
            name = jwt.get_unverified_header(token).get("kid")
            key = await self._key(name if isinstance(name, str) else "")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHMS[str(key.key_type)]],
                audience=self._client_id,
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud", "sub"], "strict_aud": True},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("The login of Telegram is too old", code="oidc_expired") from error
        except jwt.InvalidAudienceError as error:
            raise Unauthorized("The login of Telegram is for somebody else", code="oidc_audience") from error
        except jwt.InvalidIssuerError as error:
            raise Unauthorized("The login is not of Telegram", code="oidc_issuer") from error
        except (jwt.PyJWTError, KeyError, ValueError) as error:
            raise Unauthorized("The login of Telegram does not hold", code="oidc_signature") from error
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise Unauthorized("The login of Telegram is of another attempt", code="oidc_nonce")
        return claims

    # --- what the provider says of itself -----------------------------------------------------------

    async def _provider(self) -> _Known:
        async with self._asking:
            now = self._now()
            if self._known is None or now - self._known.at > KEPT:
                about = await self._get(f"{self._issuer}/.well-known/openid-configuration", what="discovery")
                if about.get("issuer") != self._issuer:
                    raise _broken("discovery")
                names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                self._known = _Known(now, {name: self._own(about.get(name)) for name in names})
            return self._known

    def _own(self, url: Any) -> str:
        """An endpoint, when it is the issuer's own: neither the secret nor a browser is sent anywhere else."""
        if not isinstance(url, str) or len(url) > MAX_URL or urlsplit(url)[:2] != urlsplit(self._issuer)[:2]:
            raise _broken("discovery")
        return url

    async def _key(self, name: str) -> jwt.PyJWK:
        known = await self._provider()
        async with self._asking:
            now = self._now()
            if name not in known.keys and (known.keys_at is None or now - known.keys_at > KEYS_PAUSE):
                listed = (await self._get(known.about["jwks_uri"], what="key list")).get("keys")
                known.keys_at = now
                known.keys = {}
                for one in listed[:MAX_KEYS] if isinstance(listed, list) else ():
                    if isinstance(one, dict) and one.get("kty") in ALGORITHMS and one.get("use", "sig") == "sig":
                        known.keys[str(one.get("kid", ""))] = jwt.PyJWK(one)
            if name not in known.keys:
                raise Unauthorized("The login of Telegram names an unknown key", code="oidc_key")
            return known.keys[name]

    async def _get(self, url: str, *, what: str) -> dict[str, Any]:
        answer = await self._http.request("GET", url, headers={"Accept": "application/json"}, max_bytes=CAP)
        return _object(answer.status, answer.body, what=what)


def _person(claims: dict[str, Any]) -> ProvenPerson:
    subject, account = claims["sub"], claims.get("id")
    if isinstance(account, str) and account.isascii() and account.isdecimal():
        account = int(account)
    if isinstance(account, bool) or not isinstance(account, int) or not 0 < account < 2**52:
        account = None
    username = clean_text(claims.get("preferred_username"), 64)
    return ProvenPerson(
        subject=f"telegram:{subject}"[:255],
        telegram_id=account,
        name=clean_text(claims.get("name"), 200) or username or "Founder",
        username=username,
        photo_url=clean_photo(claims.get("picture")),
    )


def _object(status: int, body: bytes, *, what: str) -> dict[str, Any]:
    if status != 200:
        raise _broken(what)
    try:
        found = loads(body, DOCUMENT)
    except BadJson as error:
        raise _broken(what) from error
    if not isinstance(found, dict):
        raise _broken(what)
    return found


def _check_parts(token: str) -> None:
    """ValueError unless header and claims of a token are JSON within bounds: its library reads whatever there is."""
    for part in token.split(".")[:2]:
        try:
            loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), DOCUMENT)
        except BadJson as error:
            raise ValueError(str(error)) from error


def _broken(what: str) -> ExternalError:
    return ExternalError(f"the login provider's {what} cannot be used", code="oidc_broken", retryable=True)
