"""`pilot eval`: evaluations that run Pilot itself."""

import json
import sys
from typing import Any

import click

from app.commands.base import Commands, answer, as_json_option, settings_of


@click.group("eval", cls=Commands)
def evaluations() -> None:
    """Run checks of this installation (see /api/capabilities)."""


@evaluations.command("list")
@as_json_option
def evaluations_list(as_json: bool) -> None:
    """List the evaluations and the capabilities they prove."""
    from app.evals.run import described

    found = described()
    lines = [f"{e['name']}: {e['looksAt']}\n     for {', '.join(e['capabilities'])}" for e in found]
    answer(found, as_json=as_json, text="\n".join(lines))


@evaluations.command("run")
@click.argument("names", nargs=-1)
@click.option(
    "--seconds", type=click.FloatRange(1, 3600), default=85.0, show_default=True, help="Stop after this time."
)
@as_json_option
def evaluations_run(names: tuple[str, ...], seconds: float, as_json: bool) -> None:
    """Run all evaluations, or the ones named, and record the results.

    They use a temporary database. Exits with 1 if one fails, with 2 for an unknown name.
    """
    from app.evals.run import EVALUATIONS, run_evaluations

    unknown = [name for name in names if name not in EVALUATIONS]
    if unknown:
        raise click.UsageError(f"no evaluation {', '.join(unknown)}; there are {', '.join(EVALUATIONS)}")
    settings = settings_of()

    def tell(outcome: Any) -> None:
        if not as_json:
            click.echo("\n".join(outcome.lines()))

    outcomes = run_evaluations(settings, names or tuple(EVALUATIONS), tell=tell, seconds=seconds)
    if as_json:
        click.echo(json.dumps([o.as_json() for o in outcomes], indent=1, default=str))
    sys.exit(1 if any(o.passed is False for o in outcomes) else 0)
