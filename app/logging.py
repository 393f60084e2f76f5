"""One log for own and foreign records: JSON lines, or a readable console in development."""

import logging
import sys
from functools import cache
from typing import Any

import structlog

SECRET_WORDS = ("token", "secret", "authorization", "password", "cookie", "api_key", "initdata", "code")


def _hide_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    for key in event:
        if _names_a_secret(key):
            event[key] = "[hidden]"
    return event


@cache
def _names_a_secret(key: str) -> bool:
    return any(word in key.lower() for word in SECRET_WORDS) and key not in ("code", "status_code")


def _console() -> structlog.dev.ConsoleRenderer:
    # the default shows local variables in tracebacks, tokens among them
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def configure_logging(*, level: str, form: str) -> None:
    """Send everything to standard error as `form` (json or console; auto = console on a terminal)."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    renderer: Any = _console() if console else structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(() if console else (structlog.processors.format_exc_info,)),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # one line a request is ours; the libraries' own say the same again, with more of it
    for noisy in (
        "aiohttp.access",
        "httpx",
        "httpcore",
        "httpx2",
        "httpcore2",
        "apscheduler",
        "aiogram.event",
        "dbos",
        "alembic",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        # below the level a call costs nothing
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
