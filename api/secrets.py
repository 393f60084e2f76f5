"""Routes about a workspace's own model keys. Values go in and never come out."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, SecretStr

from api import wire
from api.http import Body, Call, Endpoints
from api.models import SecretsOut, SecretStored, SecretVerified
from domain.clock import iso
from domain.errors import Forbidden, Invalid, NotFound
from domain.permissions import Action
from storage.vault import CannotOpen

secrets = Endpoints("secrets")
route = secrets.route


class NewSecret(Body):
    value: Annotated[SecretStr, Field(min_length=1, max_length=10_000)]
    expiresAt: AwareDatetime | None = None  # noqa: N815 - a name of the wire


@route("GET", "/api/workspace/secrets", errors=(Forbidden,), action=Action.SECRET_READ, response=SecretsOut)
async def list_secrets(call: Call) -> Any:
    """Which model keys the workspace has brought, never their values."""
    return {"secrets": [wire.secret(s) for s in await call.services.secrets.list(call.actor)]}


@route(
    "PUT",
    "/api/workspace/secrets/{kind}",
    keeps_answers=False,
    errors=(Invalid, Forbidden),
    action=Action.SECRET_WRITE,
    response=SecretStored,
)
async def put_secret(call: Call, kind: str, body: NewSecret) -> Any:
    """Keep a model key, in the place of the one before; it counts from the next model call on."""
    value = body.value.get_secret_value()
    kept = await call.services.secrets.put(call.actor, kind, value, expires_at=body.expiresAt)
    return {"stored": True, "kind": kept.kind, "expiresAt": iso(kept.expires_at)}


@route(
    "DELETE",
    "/api/workspace/secrets/{kind}",
    status=204,
    errors=(Invalid, Forbidden, NotFound),
    action=Action.SECRET_WRITE,
)
async def remove_secret(call: Call, kind: str) -> None:
    """Forget a model key."""
    await call.services.secrets.remove(call.actor, kind)


@route(
    "POST",
    "/api/workspace/secrets/{kind}/verify",
    errors=(Invalid, Forbidden, NotFound, CannotOpen),
    action=Action.SECRET_READ,
    response=SecretVerified,
)
async def verify_secret(call: Call, kind: str) -> Any:
    """Whether a model key can still be decrypted."""
    await call.services.secrets.verify(call.actor, kind)
    return {"ok": True}
