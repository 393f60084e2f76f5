"""One process: the web server listens at once; everything else comes up behind it, and goes down in order."""

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from api.config import HttpConfig
from api.middlewares import authenticate_and_count
from api.server import ServiceHolder, create_app, runner_of
from app.container import Runtime, open_services
from app.schedule import Clock
from app.settings import BadSettings, Settings
from app.sign_up import sign_up_state, words
from app.supervisor import Supervisor
from app.version import VERSION
from domain.clock import utc_now
from domain.errors import Unavailable
from domain.identity.actor import Actor
from storage.chat import conversation_rows
from storage.installation.hold import Hold, StoreError
from storage.installation.locks import Lock
from storage.ledger import event_rows
from storage.outbox import outbox_rows
from storage.runs import tick_rows
from storage.transaction import Tx

if TYPE_CHECKING:
    from app.early import PortHolder
    from bot.runner import BotRunner

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
# how often a server looks whether it still holds the store
WATCH_SECONDS = 5.0
# and while it does not
AGAIN_SECONDS = 0.25
# the exit code of one that does not
STORE_LOST = 3
# a process that has not said for so long that it lives, and has lost its name, is dead ...
DEAD_AFTER = timedelta(seconds=15)
# ... and one that seems to have its name still, but is not heard of, is after so long
GIVEN_UP_AFTER = timedelta(seconds=60)
# where the local simulator runs its page: the Mini App may be framed by it in development
TELEGRAM_WEB = ("https://web.telegram.org", "https://*.telegram.org")


def http_config(settings: Settings) -> HttpConfig:
    """What the web side needs of the settings."""
    return HttpConfig(
        version=VERSION,
        app_url=settings.public_url,
        production=settings.production,
        allowed_origins=settings.allowed_origins,
        trusted_proxies=settings.pilot_trusted_proxies,
        metrics_token=None if settings.metrics_auth_token is None else settings.metrics_auth_token.get_secret_value(),
        metrics_public=settings.metrics_allow_public,
        admin_key=None if settings.pilot_admin_api_key is None else settings.pilot_admin_api_key.get_secret_value(),
        show_codes=not settings.production and settings.email_provider != "smtp",
        sign_up=settings.sign_up.mode.value,
    )


class Process:
    """What `pilot serve` runs. `start` returns once the port listens; `ready` is set when everything is up."""

    def __init__(self, settings: Settings, *, example: str | None = None) -> None:
        self.settings = settings
        self.gate = ServiceHolder()
        self.supervisor = Supervisor()
        self.ready = asyncio.Event()
        self.failed: BaseException | None = None
        # set when the store is not this process's to write to any more
        self.lost = asyncio.Event()
        self.why_lost = ""
        self.port = 0
        self._stack = contextlib.AsyncExitStack()
        self._runner: web.AppRunner | None = None
        self._parts: Runtime | None = None
        self._clock: Clock | None = None
        self._bot: BotRunner | None = None
        self._example = example

    # --- up ---------------------------------------------------------------------------------------

    async def start(self, *, early: "PortHolder | None" = None) -> None:
        """Listen, or go on listening where `early` does, then bring everything else up in the background."""
        from webapp.server import mount_webapp

        settings = self.settings
        mounts: list[Callable[[web.Application], None]] = []
        if settings.pilot_role != "worker":
            mounts.append(
                lambda app: mount_webapp(
                    app,
                    self.gate.held,
                    frame_ancestors=(*TELEGRAM_WEB, *settings.pilot_frame_ancestors),
                    actor_of=self._actor_of,
                )
            )
        if settings.telegram_webhook and settings.pilot_role != "worker":
            mounts.append(self._mount_webhook)
        app = create_app(self.gate, http_config(settings), mount=mounts)
        self._runner = runner_of(app, handle_signals=False, shutdown_timeout=2.0)
        await self._runner.setup()
        if early is None:
            await web.TCPSite(self._runner, settings.host, settings.port).start()
        else:
            for held in early.sockets():
                await web.SockSite(self._runner, held).start()
            await early.close()
        self.port = self._runner.addresses[0][1]
        self.supervisor.keep("start", self._come_up)

    async def _actor_of(self, request: web.Request) -> Actor:
        services = self.gate.services
        if services is None:
            raise Unavailable("Pilot is starting", code="starting")
        return await authenticate_and_count(request, services, ("page",))

    def _mount_webhook(self, app: web.Application) -> None:
        async def late(request: web.Request) -> web.StreamResponse:
            services = self.gate.services
            if services is None:
                # Telegram tries again
                return web.json_response({"error": "Pilot is starting", "code": "starting"}, status=503)
            from bot.intake import webhook_handler

            secret = self.settings.telegram_webhook_secret
            assert secret is not None
            return await webhook_handler(services.inbox, secret=secret.get_secret_value())(request)

        app.router.add_post("/api/telegram/webhook", late)

    async def _come_up(self) -> None:
        try:
            await self._open()
        except (BadSettings, StoreError) as error:
            # whoever runs Pilot is told in a sentence what is in the way
            for why in getattr(error, "problems", None) or [str(error)]:
                log.error("start_refused", extra={"why": why})  # noqa: TRY400 - the sentence says it all
                print(why, file=sys.stderr)
            self.failed = error
            self.ready.set()
        except Exception as error:
            log.exception("start_failed")
            self.failed = error
            self.ready.set()

    async def _open(self) -> None:
        settings = self.settings
        parts = await self._stack.enter_async_context(open_services(settings, serving=True))
        self._parts = parts
        self.supervisor.keep("hold", partial(self._watch, parts.hold))
        services = parts.services
        # a process without a bot says how the bot of the others is
        telegram = "not_configured" if settings.telegram_bot_token is None else "starting"
        services.health.parts.update({"telegram": telegram, "scheduler": False})
        self.gate.open(services)
        log.info("store_ready", extra={"store": "postgres" if services.store.sqlite is None else "sqlite"})
        said = words(settings, await services.store.read(sign_up_state))
        log.log(logging.INFO if said.well else logging.WARNING, "sign_up", extra={"mode": said.mode, "said": said.text})
        working = settings.pilot_role != "web"
        await services.engine.start(services.runs.advance if working else None)
        log.info("engine_ready")
        self._start_clock(parts)
        if working:
            for name, delivery in parts.deliveries.items():
                self.supervisor.keep(name, delivery.run)
        if services.store.sqlite is None:
            from app.notify import Notifier

            self.supervisor.keep("notify", Notifier(settings.store_url, services).run)
        # a process that only serves the web neither polls nor sends; it does take webhooks in
        if settings.telegram_bot_token is not None and working:
            self.supervisor.keep("telegram", self._run_bot)
        # every receipt is read again from its bytes, beside the work
        self.supervisor.keep("ledger", parts.watch.look)
        # what was imported stays: no need to look at it at every collection
        gc.collect()
        gc.freeze()
        self.ready.set()

    async def _watch(self, hold: Hold) -> None:
        """Look whether the store is still held and the same one: at once when the connection that holds it breaks."""
        while (why := await asyncio.to_thread(hold.trouble)) is None:
            await _readable(hold.alarm(), seconds=WATCH_SECONDS if hold.firm else AGAIN_SECONDS)
        self.why_lost = why
        self.lost.set()

    async def _run_bot(self) -> None:
        settings = self.settings
        assert self._parts is not None
        assert settings.telegram_bot_token is not None
        from app.telegram import make_bot

        services = self._parts.services
        runner = await asyncio.to_thread(make_bot, settings, services, example=self._example)
        self._bot = runner

        async def report() -> None:
            await runner.ready.wait()
            services.health.parts["telegram"] = True
            log.info("bot_ready", extra={"username": runner.username})

        async with asyncio.TaskGroup() as group:
            reporting = group.create_task(report())
            await runner.run()
            reporting.cancel()
            if not self._parts.stopping.event.is_set():
                raise _BotEndedError

    # --- the clock --------------------------------------------------------------------------------

    def _start_clock(self, parts: Runtime) -> None:
        services, settings = parts.services, self.settings
        clock = Clock(services.store, utc_now)
        clock.every("alarm", 5.0, parts.alarm.tell, shared=False)
        if settings.pilot_role != "web":
            keep = timedelta(days=settings.pilot_retention_days)
            clock.every("due", 1.0, services.runs.sweep_due, shared=False)
            clock.every("scheduled", 5.0, services.tasks.sweep_scheduled, shared=False)
            clock.every("approvals", 5.0, services.approvals.sweep, shared=False)
            clock.every("ledger", 600.0, parts.watch.look, shared=False)
            if parts.sidecar is not None:
                clock.every("sidecar", 60.0, parts.sidecar.keep_snapshot)
            clock.every("checkpoints", 10.0, services.proofs.sign_grown_logs)
            clock.every("lost", 60.0, services.runs.sweep_lost)
            clock.every("heartbeat", 4.0, self._heartbeat, shared=False)
            clock.every("takeover", 5.0, self._take_over)
            clock.every("sessions", 3600.0, services.sessions.purge)
            clock.every("limits", 3600.0, services.limits.purge)
            clock.every("answers", 3600.0, services.idempotency.purge)
            clock.every("workspaces", 3600.0, services.erasure.purge_due)
            clock.every("checkpoint_word", 86_400.0, parts.daily.send_checkpoints)
            clock.every("retention", 86_400.0, lambda: self._forget(keep))
        clock.start()
        services.health.parts["scheduler"] = True
        self._clock = clock

    async def _heartbeat(self) -> None:
        assert self._parts is not None
        name, role = self._parts.executor_id, self.settings.pilot_role
        await self._parts.services.store.write(lambda tx: tick_rows.alive(tx, name, role=role, now=utc_now()))

    async def _take_over(self) -> None:
        """Requeue what processes had in hand that have not been heard of for a while."""
        assert self._parts is not None
        services = self._parts.services
        now = utc_now()
        quiet = await services.store.read(lambda tx: tick_rows.dead(tx, before=now - DEAD_AFTER))
        for name, seen_at in quiet.items():
            if name == self._parts.executor_id:
                continue
            lock = Lock(services.store, name)
            if seen_at >= now - GIVEN_UP_AFTER and not await lock.take():
                # it is only slow
                continue
            await lock.release()
            count = await services.engine.take_over(name)
            await services.store.write(partial(tick_rows.forget, executor_id=name))
            log.warning("executor_taken_over", extra={"executor": name, "segments": count})

    async def _forget(self, keep: timedelta) -> None:
        assert self._parts is not None
        services = self._parts.services
        now = utc_now()

        def work(tx: Tx) -> None:
            event_rows.purge(tx, now=now, keep=keep)
            outbox_rows.purge(tx, now=now, keep=keep)
            tick_rows.purge(tx, now=now, keep=timedelta(days=2))
            conversation_rows.purge_states(tx, now=now, keep=keep)

        await services.store.write(work)
        await services.inbox.purge(keep_troubled=keep)

    # --- down -------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Refuse new requests, finish the step and the update in hand, close. Within ten seconds."""
        if self._clock is not None:
            self._clock.stop()
        if self._parts is not None:
            self._parts.stopping.event.set()
        if self._bot is not None:
            self._bot.stop()
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
        if self._parts is not None:
            await self._parts.services.engine.stop(grace_seconds=6)
        await self.supervisor.stop(grace=2.0)
        self.gate.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._stack.aclose()


async def _readable(descriptor: int | None, *, seconds: float) -> None:
    """Until there is something to read, or so many seconds."""
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    if descriptor is not None:
        loop.add_reader(descriptor, heard.set)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await heard.wait()
    finally:
        if descriptor is not None:
            loop.remove_reader(descriptor)


class _BotEndedError(Exception):
    """The bot ended by itself; it is started again."""


async def serve(
    settings: Settings, *, stop: asyncio.Event, early: "PortHolder | None" = None, example: str | None = None
) -> int:
    """Run until `stop` is set; the exit code.

    When the store is not this process's any more it ends at once, as if it had been killed: finishing what is in hand
    would write over what somebody else does there.
    """
    process = Process(settings, example=example)
    await process.start(early=early)
    log.info("listening", extra={"port": process.port, "url": settings.public_url})
    _, told, lost = waits = [asyncio.ensure_future(one.wait()) for one in (process.ready, stop, process.lost)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if process.failed is None:
        await asyncio.wait((told, lost), return_when=asyncio.FIRST_COMPLETED)
    if process.lost.is_set():
        log.critical("store_lost", extra={"why": process.why_lost})
        print(f"Pilot ends: {process.why_lost}", file=sys.stderr, flush=True)
        os._exit(STORE_LOST)
    for waiting in waits:
        waiting.cancel()
    log.info("stopping")
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.stop()
    except TimeoutError:
        log.warning("stop_took_too_long")
    return 0 if process.failed is None else 1
