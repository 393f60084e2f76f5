"""Routes about a workspace's own model keys. Values go in and never come out."""

from api.http import Endpoints, RequestContext
from api.schemas.base import Serialized
from api.schemas.workspaces import NewSecret, SecretOut, SecretsOut, SecretStored, SecretVerified
from domain.errors import Forbidden, Invalid, NotFound
from domain.identity.permissions import Action
from domain.workspaces.secret import CannotOpen

secrets = Endpoints("secrets")
route = secrets.route


@route("GET", "/api/workspace/secrets", errors=(Forbidden,), action=Action.SECRET_READ)
async def list_secrets(call: RequestContext) -> Serialized[SecretsOut]:
    """Which model keys the workspace has brought, never their values."""
    return SecretsOut.answer(secrets=[SecretOut.of(s) for s in await call.services.secrets.list(call.actor)])


@route(
    "PUT",
    "/api/workspace/secrets/{kind}",
    keeps_answers=False,
    errors=(Invalid, Forbidden),
    action=Action.SECRET_WRITE,
)
async def put_secret(call: RequestContext, kind: str, body: NewSecret) -> Serialized[SecretStored]:
    """Keep a model key, in the place of the one before; it counts from the next model call on."""
    value = body.value.get_secret_value()
    kept = await call.services.secrets.put(call.actor, kind, value, expires_at=body.expires_at)
    return SecretStored.of(kept)


@route(
    "DELETE",
    "/api/workspace/secrets/{kind}",
    status=204,
    errors=(Invalid, Forbidden, NotFound),
    action=Action.SECRET_WRITE,
)
async def remove_secret(call: RequestContext, kind: str) -> None:
    """Forget a model key."""
    await call.services.secrets.remove(call.actor, kind)


@route(
    "POST",
    "/api/workspace/secrets/{kind}/verify",
    errors=(Invalid, Forbidden, NotFound, CannotOpen),
    action=Action.SECRET_READ,
)
async def verify_secret(call: RequestContext, kind: str) -> Serialized[SecretVerified]:
    """Whether a model key can still be decrypted."""
    await call.services.secrets.verify(call.actor, kind)
    return SecretVerified.answer(ok=True)
