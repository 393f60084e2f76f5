"""The Mini App's routes: a static shell, HTML parts for whoever is logged in, and static files."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
import jinja2.ext
from aiohttp import web

import locales
from domain.bounded_json import Bounds, loads
from domain.errors import Invalid, PilotError
from domain.identity.actor import Actor
from locales import Texts, Translator
from locales.words import event, tool_does, why_asked, why_ended
from services.container import Services
from webapp.assets import load_assets, without_indents
from webapp.fragments import FRAGMENTS
from webapp.fragments.common import filters
from webapp.texts import TABS, script_texts, tab_texts, wanted

HERE = Path(__file__).parent
SMALL = Bounds(size=10_000, depth=8, nodes=100)
FOREVER = "public, max-age=31536000, immutable"
ActorOf = Callable[[web.Request], Awaitable[Actor]]


def content_security_policy(frame_ancestors: Sequence[str]) -> str:
    """What the Mini App's pages may load and who may frame them: nothing inline, nothing from elsewhere."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https://t.me; "
        f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(frame_ancestors)}"
    )


class WithoutIndents(jinja2.ext.Extension):
    """Leave out the indents of templates: they are for whoever reads the template, not for the reader's line."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        del name, filename
        return without_indents(source)


def mount_webapp(
    app: web.Application, held: dict[str, Any], *, frame_ancestors: Sequence[str], actor_of: ActorOf
) -> None:
    """Add the Mini App to the application. `actor_of` is the one door, which the API uses too."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        extensions=[WithoutIndents],
        # the files do not change while the process runs
        auto_reload=False,
    )
    environment.filters.update(filters())
    environment.globals.update(event=event, tool_does=tool_does, why_asked=why_asked, why_ended=why_ended)
    pages = _Pages(held, environment, content_security_policy(frame_ancestors), actor_of)
    app.router.add_get("/app", pages.bare)
    app.router.add_get("/app/", pages.shell)
    app.router.add_get("/app/me", pages.me)
    app.router.add_post("/app/language", pages.choose_language)
    app.router.add_get("/app/static/{version}/{path:.+}", pages.static)
    app.router.add_get("/app/parts/{path:.+}", pages.part)


class _Pages:
    """The handlers, with what they share."""

    def __init__(self, held: dict[str, Any], environment: jinja2.Environment, csp: str, actor_of: ActorOf) -> None:
        self._held = held
        self._environment = environment
        self._csp = csp
        self._actor_of = actor_of
        self._assets = load_assets()
        self._translator: Translator | None = None
        self._macros: dict[str, jinja2.environment.TemplateModule] = {}

    async def bare(self, _request: web.Request) -> web.Response:
        raise web.HTTPFound("/app/")

    async def shell(self, request: web.Request) -> web.Response:
        """The empty page. It holds no data, so it is the same for everybody who reads its language."""
        t = await self._texts(request)
        text = self._render(
            "shell.html",
            t,
            version=self._assets.version,
            scripts=self._assets.scripts,
            tabs=TABS,
            texts=script_texts(t),
            telegram_login=self._offers_telegram_login(),
        )
        headers = {"Content-Security-Policy": self._csp, "Cache-Control": "no-cache", "Vary": "Accept-Language"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    def _offers_telegram_login(self) -> bool:
        services: Services | None = self._held.get("services")
        return services is not None and services.browser_login is not None

    async def static(self, request: web.Request) -> web.Response:
        """A file of ours; kept for a year under the version its content gives it."""
        asset = self._assets.files.get(request.match_info["path"])
        if asset is None:
            raise web.HTTPNotFound
        current = request.match_info["version"] == self._assets.version
        return web.Response(
            body=asset.body,
            content_type=asset.content_type,
            charset="utf-8",
            headers={"Cache-Control": FOREVER if current else "no-cache", "Content-Security-Policy": self._csp},
        )

    async def me(self, request: web.Request) -> web.Response:
        """Who is here: the language to speak with its texts, and the workspace."""
        actor = await self._actor_of(request)
        services = self._services()
        user, _ = await services.workspaces.me(actor)
        chosen = user.preferences.get("language")
        t = await self._texts(request, chosen if isinstance(chosen, str) else None, user.language)
        found, _ = await services.workspaces.get(actor)
        return web.json_response(
            {
                "language": t.code,
                "dir": t.language.dir,
                "texts": script_texts(t),
                "tabs": tab_texts(t),
                "workspace": {"id": found.id, "name": found.name},
            },
            headers={"Cache-Control": "no-store"},
        )

    async def choose_language(self, request: web.Request) -> web.Response:
        """Keep the language a person chose, for the Mini App and the chat alike."""
        actor = await self._actor_of(request)
        given = loads(await request.read(), SMALL)
        code = given.get("language") if isinstance(given, dict) else None
        if not isinstance(code, str) or code not in locales.languages():
            raise Invalid.field("language", "is not a language of this installation")
        await self._services().chat.people.set_language(actor, code)
        return web.json_response({"language": code})

    async def part(self, request: web.Request) -> web.Response:
        """One part of a page as HTML; an error is a part too, so that the page can show it."""
        t = await self._texts(request)
        if self._held.get("services") is None:
            return self._trouble(t, t("app-starting"), 503)
        name, _, item = request.match_info["path"].partition("/")
        builder = FRAGMENTS.get(name)
        if builder is None:
            return self._trouble(t, t("app-no-page"), 404)
        try:
            actor = await self._actor_of(request)
            template, context = await builder(self._services(), actor, item, dict(request.query))
        except PilotError as error:
            known = f"app-error-{error.code}"
            return self._trouble(t, t(known) if t.has(known) else str(error), error.status)
        return self._html(self._render(template, t, me=actor, **context), 200)

    def _render(self, template: str, t: Texts, **context: Any) -> str:
        """A template in a language. The macros (`ui`) are made once for each, since they speak it too."""
        if t.code not in self._macros:
            self._macros[t.code] = self._environment.get_template("macros.html").make_module({"t": t})
        return self._environment.get_template(template).render(t=t, ui=self._macros[t.code], **context)

    def _services(self) -> Services:
        services: Services = self._held["services"]
        return services

    async def _texts(self, request: web.Request, *first: str | None) -> Texts:
        if self._translator is None:
            # reading the files takes a while: away from the loop
            self._translator = await asyncio.to_thread(locales.load)
        accepted = wanted(request.headers.get("Accept-Language", ""), self._translator)
        return self._translator.of(*first, *accepted)

    def _html(self, text: str, status: int) -> web.Response:
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": self._csp}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    def _trouble(self, t: Texts, text: str, status: int) -> web.Response:
        return self._html(self._render("trouble.html", t, text=text, status=status), status)
