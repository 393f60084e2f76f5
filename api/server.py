"""The web application: routes and middlewares put together. It answers before the services are open."""

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from api.approvals.approvals import approvals
from api.approvals.decision_point import decision_point
from api.config import CONFIG, HttpConfig
from api.docs import add_docs
from api.http import CHECK_ANSWERS, SERVICES, UNPACKS, Endpoints
from api.identity.auth import auth
from api.installation.admin import admin
from api.installation.capabilities import capability_routes
from api.installation.system import plain_routes, system
from api.installation.usage import usage
from api.ledger.ledger import ledger
from api.middlewares import Metrics, authenticate, headers, observe, preflight
from api.openapi import document
from api.policy.policy import policy
from api.runs.tasks import tasks
from api.tools.knowledge import knowledge
from api.tools.mcp import mcp
from api.workspaces.secrets import secrets
from api.workspaces.workspaces import workspaces
from services.container import Services

MAX_BODY = 1_000_000


class ServiceHolder:
    """Holds the services once they are open; until then the application says that it is starting."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def open(self, services: Services) -> None:
        """From now on requests are served."""
        self.held["services"] = services

    def close(self) -> None:
        """From now on they are not."""
        self.held.clear()

    @property
    def services(self) -> Services | None:
        return self.held.get("services")


def groups(config: HttpConfig) -> Sequence[Endpoints]:
    """Every part of the API."""
    return (
        auth,
        secrets,
        mcp,
        workspaces,
        tasks,
        usage,
        knowledge,
        approvals,
        ledger,
        policy,
        decision_point,
        capability_routes(config),
        admin,
        system,
    )


def create_app(
    gate: ServiceHolder, config: HttpConfig, *, mount: Sequence[Callable[[web.Application], None]] = ()
) -> web.Application:
    """The application. `mount` adds what other rooms serve: the Mini App, the webhook."""
    metrics = Metrics()
    app = web.Application(
        middlewares=[observe(config, metrics), preflight, authenticate(config)], client_max_size=MAX_BODY
    )
    app.on_response_prepare.append(headers(config))
    app[SERVICES] = gate.held
    app[CHECK_ANSWERS] = config.check_answers
    app[CONFIG] = config
    parts = (*groups(config), plain_routes(config, metrics))
    for group in parts:
        for endpoint in group.table:
            app.router.add_route(endpoint.method, endpoint.pattern or endpoint.path, endpoint.handle)
    add_docs(app, document(parts, version=config.version, server=config.app_url))
    for add in mount:
        add(app)
    return app


def runner_of(app: web.Application, **options: Any) -> web.AppRunner:
    """What serves the application. Packed bodies come as they are; who reads one unpacks it, within bounds.

    The library would unpack all of a body that nobody reads, only to be rid of it: a megabyte holds everybody for a
    second.
    """
    app[UNPACKS] = True
    return web.AppRunner(app, access_log=None, auto_decompress=False, **options)
