"""Writes the generated pages of docs/reference from the code: `python tools/reference.py`."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from api.config import HttpConfig
from api.server import groups
from app.settings import Settings
from domain.approvals.approval import APPROVALS
from domain.identity.permissions import TABLE, as_markdown
from domain.journal import approvals, people, work, workspace
from domain.runs.run import EFFECTS, RUNS, STEPS
from domain.runs.states import StateTable
from domain.runs.task import TASKS

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

PERMISSIONS = """# Who may do what

API, bot and Mini App ask this one table (`domain/identity/permissions.py`); `pilot policy permissions` prints it. An API key never
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


SETTINGS = """# Settings

Environment variables, or lines of a file `.env` in the folder Pilot runs in. All have defaults; an empty value counts as
not set. When some are wrong, `pilot serve` names all of them at once and exits with 2; `pilot doctor` checks more.
[.env.example](../../.env.example) is the same list to copy.

"""


STATES = """# States

Where a thing begins, the moves it may make, and what makes each. These tables are the code's own (`domain/runs/run.py`,
`domain/runs/task.py`, `domain/approvals/approval.py`): every write of a state asks them, in `services/lifecycle/`. A state that nothing leads
out of is an end. A run may also be shown as `stalled` by the wire contract; Pilot never ends one so.

"""


def states_page() -> str:
    """Each table of states, a move a line."""
    tables: tuple[tuple[str, StateTable[Any]], ...] = (
        ("A task", TASKS),
        ("A run", RUNS),
        ("A step: one call of a tool", STEPS),
        ("A call that left the process", EFFECTS),
        ("An approval", APPROVALS),
    )
    return STATES + "\n".join(f"## {title}\n\n{_moves(table)}" for title, table in tables)


def _moves(table: StateTable[Any]) -> str:
    lines = ["| from | to | what makes it |\n| --- | --- | --- |\n"]
    for current, moves in ((None, table.begins), *table.moves.items()):
        start = "new" if current is None else f"`{current}`"
        lines += [f"| {start} | `{to}` | {event} |\n" for to, event in moves.items()]
    return "".join(lines)


JOURNAL = """# What is recorded

Everything the audit log and the ledger can say: an entry a line, with its word in the audit log and the kind of receipt it
leaves. What a receipt says of it, and what it keeps beside itself as salted hashes, is in its class in `domain/journal/`.
`tests/recorded.py` tells one of each, and its exact bytes are kept.
"""


def journal_page() -> str:
    """Each entry of the catalogue, as it says of itself."""
    lines = []
    for module in (work, approvals, people, workspace):
        title = (module.__doc__ or "").splitlines()[0].removeprefix("What is recorded of ").rstrip(".")
        lines.append(
            f"\n## {title[0].upper()}{title[1:]}\n\n| audit log | receipt | what happened |\n| --- | --- | --- |\n"
        )
        for name, entry in vars(module).items():
            if isinstance(entry, type) and entry.__module__ == module.__name__ and not name.startswith("_"):
                found: Any = entry
                said = (entry.__doc__ or "").splitlines()[0]
                lines.append(f"| `{found.action}` | {f'`{found.kind}`' if found.kind else 'none'} | {said} |\n")
    return JOURNAL + "".join(lines)


def settings_page() -> str:
    """Every setting with its default, what it may be, and what `.env.example` says of it."""
    fields = dict(Settings.model_fields)
    lines: list[str] = []
    said: list[str] = []
    for line in (REFERENCE.parents[1] / ".env.example").read_text().splitlines():
        if line.startswith("# ---"):
            title = line.strip("# -")
            lines.append(
                f"\n## {title[0].upper()}{title[1:]}\n\n| setting | default | may be | what it is |\n| --- | --- | --- | --- |\n"
            )
            said = []
        elif line.startswith("#"):
            said.append(line.lstrip("# "))
        elif "=" in line:
            name = line.partition("=")[0]
            if name.lower() not in fields:
                raise SystemExit(f"{name} of .env.example is no setting")
            field = fields.pop(name.lower())
            what = " ".join(said).replace("|", "\\|")
            lines.append(f"| `{name}` | {_default(field)} | {_may_be(field)} | {what} |\n")
            said = []
        else:
            said = []
    if fields:
        raise SystemExit(f"missing in .env.example: {', '.join(fields)}")
    return SETTINGS + "".join(lines).lstrip("\n")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ("", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _may_be(field: FieldInfo) -> str:
    kind = field.annotation
    # what may be left out is described by what it is when it is not
    kind = next((k for k in get_args(kind) if get_origin(k) is Literal), kind)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        return ", ".join(f"`{c}`" for c in choices)
    limits = {type(m).__name__: m for m in field.metadata}
    ends = [
        f"{word} {getattr(limits[name], attribute)}"
        for name, word, attribute in (("Ge", "from", "ge"), ("Gt", "above", "gt"), ("Le", "to", "le"))
        if name in limits
    ]
    if ends:
        return " ".join(ends)
    if kind is bool:
        return "`true`, `false`"
    if "SecretStr" in str(kind):
        return "secrets, comma-separated" if "tuple" in str(kind) else "a secret"
    return "a list, comma-separated" if "tuple" in str(kind) else "a text"


def pages() -> dict[str, str]:
    """The generated pages by file name."""
    lines = []
    for group in groups(HttpConfig(version="0", app_url="http://localhost")):
        for e in group.table:
            needs = e.needs.value if e.action is None else f"{TABLE[e.action].role.value}, `{TABLE[e.action].scope}`"
            lines.append(f"| `{e.method} {e.path}` | {needs} | {e.description.splitlines()[0]} |\n")
    plain = (
        "| `GET /` | public | Name and version. |\n"
        "| `GET /health` | public | Readiness of each part; 503 `starting` until the store is ready. |\n"
        "| `GET /healthz`, `GET /version` | public | The same in one word, and the version, as clients of HELM kernels ask. |\n"
        "| `GET /metrics` | token | Prometheus text. |\n"
        "| `GET /.well-known/pilot-keys.json` | public | Public keys of receipts and checkpoints. |\n"
    )
    return {
        "settings.md": settings_page(),
        "permissions.md": PERMISSIONS + as_markdown(),
        "states.md": states_page(),
        "journal.md": journal_page(),
        "api.md": API + "".join(lines) + plain,
    }


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    main()
