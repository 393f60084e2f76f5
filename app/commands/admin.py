"""`pilot admin`: the workspaces of the installation."""

from typing import Any

import click

from app.commands.base import Commands, answer, as_json_option, settings_of


@click.group(cls=Commands)
def admin() -> None:
    """Manage the workspaces of this installation."""


def _tenants(work: Any) -> Any:
    """Do `work` with the installation's workspaces."""
    settings = settings_of()
    from app.admin import with_tenants

    return with_tenants(settings, work)


def _print_tenants(found: Any, *, as_json: bool) -> None:
    from app.admin import shown

    rows = [shown(w) for w in found]
    lines = [
        f"{r['id']} {r['name']}" + (f" (closed, deleted after {r['purgeAt']})" if r["purgeAt"] else "") for r in rows
    ]
    answer(rows, as_json=as_json, text="\n".join(lines) or "none")


@admin.command("list")
@click.option("--closed", is_flag=True, help="Only closed workspaces that are not deleted yet.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many to list.")
@click.option("--after", help="List those after this id (the last one of the previous page).")
@as_json_option
def admin_list(closed: bool, limit: int, after: str | None, as_json: bool) -> None:
    """List the workspaces."""
    _print_tenants(_tenants(lambda t: t.list(limit=limit, after=after, closed=closed)), as_json=as_json)


@admin.command("create")
@click.argument("name")
@click.option("--owner", required=True, help="Id of the owner, who must have logged in before.")
@as_json_option
def admin_create(name: str, owner: str, as_json: bool) -> None:
    """Create a workspace for someone."""
    made, _ = _tenants(lambda t: t.create(name=name, owner_id=owner))
    _print_tenants([made], as_json=as_json)


@admin.command("delete")
@click.argument("workspace_id")
@click.option("--reason", help="Why, for the audit log.")
@click.option(
    "--grace-days",
    type=click.IntRange(0, 365),
    default=30,
    show_default=True,
    help="Days it can be restored.",
)
@as_json_option
def admin_delete(workspace_id: str, reason: str | None, grace_days: int, as_json: bool) -> None:
    """Close a workspace. It can be restored during its grace period.

    Stop Pilot first, or use the HTTP API while it runs.
    """
    gone, _ = _tenants(lambda t: t.delete(workspace_id, grace_days=grace_days, reason=reason))
    _print_tenants([gone], as_json=as_json)


@admin.command("restore")
@click.argument("workspace_id")
@as_json_option
def admin_restore(workspace_id: str, as_json: bool) -> None:
    """Restore a closed workspace. Stop Pilot first."""
    opened, _ = _tenants(lambda t: t.restore(workspace_id))
    _print_tenants([opened], as_json=as_json)


@admin.command("cleanup")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many to delete at most.")
@as_json_option
def admin_cleanup(limit: int, as_json: bool) -> None:
    """Delete workspaces whose grace period is over.

    Stop Pilot first. While it runs, it does this by itself every hour.
    """
    removed = _tenants(lambda t: t.clean_up(limit=limit))
    answer({"removed": removed}, as_json=as_json, text=f"{removed} removed")
