"""Alembic's entry: runs on a connection handed over by storage.migrate, or on a URL for its own commands."""

from alembic import context
from sqlalchemy import create_engine

from storage.tables import metadata
from storage.types import Json, UtcDateTime


def _render(kind: str, item: object, autogen_context: object) -> str | bool:
    # our column types are written by name; what they are stored as is theirs to know
    if kind == "type" and isinstance(item, Json | UtcDateTime):
        autogen_context.imports.add("from storage.types import Json, UtcDateTime")  # type: ignore[attr-defined]
        return f"{type(item).__name__}()"
    return False


def _ours(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:
    # the job engine keeps its own tables in the same file
    return not (kind == "table" and name not in metadata.tables)


def _run(connection: object) -> None:
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=metadata,
        render_as_batch=True,
        render_item=_render,  # type: ignore[arg-type]
        include_object=_ours,
        compare_type=False,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    with create_engine(url).connect() as opened:
        _run(opened)
