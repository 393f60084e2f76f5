"""Writes the generated pages of docs/reference from the code: `python tools/reference.py`."""

from pathlib import Path

from api.middlewares import HttpConfig
from api.server import groups
from domain.permissions import TABLE, as_markdown

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

PERMISSIONS = """# Who may do what

API, bot and Mini App ask this one table (`domain/permissions.py`); `pilot policy permissions` prints it. An API key never
does what is marked "must be named" unless its scopes name it.

"""
API = """# Routes

The full description, with bodies and answers, is served by every installation: `/api/openapi.json`, and readable at
`/api/docs`. Log in with `POST /api/auth/email/request` and `/verify`, or with `POST /api/auth/telegram`; then send
`Authorization: Bearer <token>` (or `X-API-Key: hp_...`) and the workspace as `X-Workspace-Id`, as `workspaceId` in the
query or the body, or in the path. Errors are `{"error", "code", "requestId", "details"?}`; `code` is stable. Lists are bare
arrays with `?limit=&cursor=` and a `Link: <...>; rel="next"` header. `POST` takes an `Idempotency-Key`.

| route | needs | what it does |
| --- | --- | --- |
"""


def main() -> None:
    """Write both pages."""
    (REFERENCE / "permissions.md").write_text(PERMISSIONS + as_markdown())
    lines = []
    for group in groups(HttpConfig(version="0", app_url="http://localhost")):
        for e in group.table:
            needs = e.needs.value if e.action is None else f"{TABLE[e.action].role.value}, `{TABLE[e.action].scope}`"
            lines.append(f"| `{e.method} {e.path}` | {needs} | {e.description.splitlines()[0]} |\n")
    plain = (
        "| `GET /` | public | Name and version. |\n"
        "| `GET /health` | public | Readiness of each part; 503 `starting` until the store is ready. |\n"
        "| `GET /metrics` | token | Prometheus text. |\n"
        "| `GET /.well-known/pilot-keys.json` | public | Public keys of receipts and checkpoints. |\n"
    )
    (REFERENCE / "api.md").write_text(API + "".join(lines) + plain)


if __name__ == "__main__":
    main()
