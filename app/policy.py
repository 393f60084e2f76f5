"""What the command line does with a policy: check it, and try it on what was decided."""

from typing import Any

from api.schemas.policy import PolicyTrialOut
from app.container import Runtime
from app.settings import Settings
from app.tools import with_parts
from connectors.cel import CelRules
from domain.errors import Invalid
from domain.policy.settings_schema import load, merge
from services.policy.changes import broken_rules
from services.policy.simulation import PolicyDiff
from storage.transaction import Tx
from storage.workspaces import workspace_rows


def problems_of(given: Any) -> list[dict[str, Any]]:
    """Everything that is wrong with settings, each as `{field, message}`; a broken rule with `line` and `column`."""
    try:
        after = merge(load({}, {}, {}), given)
    except Invalid as error:
        fields = error.details.get("fieldErrors") or {"": [str(error)]}
        return [{"field": field, "message": text} for field, texts in fields.items() for text in texts]
    return [
        {"field": field, "message": said, "line": error.line, "column": error.column}
        for field, said, error in broken_rules(after, CelRules())
    ]


def try_policy(settings: Settings, workspace_id: str, given: Any, *, last: int) -> dict[str, Any]:
    """What `POST /api/governance/policy-test` answers, for a workspace of this installation.

    Raises NotFound for an unknown workspace, Invalid for settings that could not be saved.
    """

    async def work(parts: Runtime) -> PolicyDiff:
        rehearsal = parts.services.rehearsal

        def trial(tx: Tx) -> PolicyDiff:
            workspace_rows.get(tx, workspace_id)
            return rehearsal.policy_in(tx, workspace_id, given, limit=last)

        return await parts.services.store.read(trial, long=True)

    return PolicyTrialOut.of(with_parts(settings, work))
