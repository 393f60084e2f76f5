"""The Mini App's routes: a static shell, HTML parts for whoever is logged in, and static files."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from domain.actor import Actor
from domain.errors import PilotError
from services.container import Services
from webapp.parts import PARTS
from webapp.parts.common import filters

HERE = Path(__file__).parent
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
ActorOf = Callable[[web.Request], Awaitable[Actor]]


def _version() -> str:
    digest = hashlib.sha256()
    for path in sorted((HERE / "static").rglob("*.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def mount_webapp(
    app: web.Application, held: dict[str, Any], *, frame_ancestors: Sequence[str], actor_of: ActorOf
) -> None:
    """Add the Mini App to the application. `actor_of` is the one door, which the API uses too."""
    version = _version()
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["version"] = version
    environment.filters.update(filters())
    csp = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https://t.me; "
        f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(frame_ancestors)}"
    )
    shell = environment.get_template("shell.html").render().encode()

    async def page(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": csp, "Cache-Control": "no-cache"}
        return web.Response(body=shell, content_type="text/html", charset="utf-8", headers=headers)

    async def bare(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/app/")

    async def static(request: web.Request) -> web.Response:
        path = (HERE / "static" / request.match_info["path"]).resolve()
        if not path.is_relative_to(HERE / "static") or path.suffix not in KINDS or not path.is_file():
            raise web.HTTPNotFound
        age = "public, max-age=31536000, immutable" if request.query.get("v") == version else "no-cache"
        return web.Response(
            body=path.read_bytes(),
            content_type=KINDS[path.suffix],
            charset="utf-8",
            headers={"Cache-Control": age, "Content-Security-Policy": csp},
        )

    async def part(request: web.Request) -> web.Response:
        services: Services | None = held.get("services")
        if services is None:
            return _trouble(environment, "Pilot is starting. This page tries again by itself.", 503)
        name, _, item = request.match_info["path"].partition("/")
        builder = PARTS.get(name)
        if builder is None:
            return _trouble(environment, "There is no such page.", 404)
        try:
            actor = await actor_of(request)
            template, context = await builder(services, actor, item, dict(request.query))
        except PilotError as error:
            return _trouble(environment, str(error), error.status)
        text = environment.get_template(template).render(me=actor, **context)
        return _html(text, 200, csp)

    app.router.add_get("/app", bare)
    app.router.add_get("/app/", page)
    app.router.add_get("/app/static/{path:.+}", static)
    app.router.add_get("/app/parts/{path:.+}", part)


def _html(text: str, status: int, csp: str = "default-src 'none'") -> web.Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": csp}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def _trouble(environment: jinja2.Environment, text: str, status: int) -> web.Response:
    return _html(environment.get_template("trouble.html").render(text=text), status)
