"""The composition root: the only module that knows every concrete class."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from app.connections import Connections, open_connections, secret_of
from app.holding import held, holding
from app.settings import KEPT, NEXT_KEY, BadSettings, Settings
from app.store_use import Use, command_or, under_way
from app.wings import Base, People, make_base, make_people, make_policy, make_services, make_tools, make_work
from domain.clock import utc_now
from domain.receipts.signing import KeyRing, Signer, parse_seed
from services.approvals.callbacks import Callbacks
from services.container import Services
from services.identity.mail_queue import mail_queue
from services.ledger.alarm import Alarm
from services.ledger.append import Ledger
from services.ledger.checkpoint_digest import CheckpointDigest
from services.ledger.watch import LedgerWatch
from services.outbox.delivery import Delivery
from services.policy.sidecar import SidecarWatch
from services.runs.segment import Stopping
from storage import private
from storage.database import Store
from storage.installation.hold import Hold
from storage.installation.holds import hold_on
from storage.installation.locks import Lock, own_name
from storage.migrate import bring_up, bring_up_alone

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The services with what only the process itself drives."""

    services: Services
    stopping: Stopping
    executor_id: str
    # what leaves by other ways than chat
    deliveries: Mapping[str, Delivery]
    daily: CheckpointDigest
    watch: LedgerWatch
    alarm: Alarm
    sidecar: SidecarWatch | None
    hold: Hold


def wanted_executor_id(settings: Settings) -> str:
    """A name that is the same after a restart: the engine takes up its own interrupted work by it.

    Two processes of one name would take each other's work: see `own_name`.
    """
    return settings.pilot_executor_id or f"pilot-{socket.gethostname()}"[:120]


def make_ledger(settings: Settings) -> Ledger:
    """The ledger with the installation's keys."""
    return Ledger(
        Signer(parse_seed(secret_of(settings.evidence_signing_key), strict=settings.production)),
        host=urlsplit(settings.public_url).netloc.replace(":", "-") or "localhost",
        now=utc_now,
        retiring=[Signer(parse_seed(secret_of(key))) for key in settings.evidence_retiring_keys],
    )


def wrong_key(settings: Settings, ledger: Ledger, known: KeyRing) -> str | None:
    """What is wrong with the signing key, for a ledger that knows these; None when nothing is."""
    mine = ledger.signer.key_id
    if len(known) and mine not in known:
        # a log signed by a key that nobody vouched for would not verify any more
        signs = ", ".join(sorted(record.key_id for record in known if record.retired_at is None))
        return (
            f"EVIDENCE_SIGNING_KEY: is {mine}, but the log in this database was signed with {signs}. Set "
            "EVIDENCE_SIGNING_KEY to that key; after a rotation the former key is in EVIDENCE_RETIRING_KEYS. "
            "A new key comes only from pilot keys rotate, with the key of the log set"
        )
    if mine in known and (gone := known.record(mine).retired_at) is not None:
        # a rotation may have broken off before anybody was told
        where = f"the new one is in {settings.pilot_data_dir / NEXT_KEY}, or wherever it was put from there"
        return f"EVIDENCE_SIGNING_KEY: retired by a rotation at {gone:%Y-%m-%dT%H:%M:%SZ}; {where}"
    return None


@asynccontextmanager
async def open_services(settings: Settings, *, serving: bool = False) -> AsyncIterator[Runtime]:
    """Everything built once, in order; closed in reverse. The engine is started by the process.

    The store is held from before it is opened until after the last write. `serving` says that this process is a server.
    """
    private.narrow_folder(settings.pilot_data_dir, KEPT)
    async with AsyncExitStack() as stack:
        hold = await _hold(settings, stack, serving=serving)
        store = Store(settings.store_url)
        stack.push_async_callback(store.close)
        ledger = make_ledger(settings)
        known = await store.read(ledger.ring)
        if (wrong := wrong_key(settings, ledger, known)) is not None:
            raise BadSettings([wrong])
        if command_or("", Use.SHARED).use is not Use.READS:
            await store.write(ledger.register_key)
        damaged = await store.read(ledger.check_at_start)
        for workspace_id, why in damaged.items():
            log.error("ledger_damaged", extra={"workspace": workspace_id, "why": why})
        executor_id = wanted_executor_id(settings)
        if serving or not under_way():
            # a command starts no engine: it leaves the name to the server, which takes up its work by it
            name = await own_name(partial(Lock, store), executor_id)
            stack.push_async_callback(name.release)
            executor_id = name.name
        yield _build(settings, stack, store, ledger, executor_id=executor_id, hold=hold)


async def _hold(settings: Settings, stack: AsyncExitStack, *, serving: bool) -> Hold:
    """The hold of the command under way, or one of our own, on a store with the schema of this code."""
    command = command_or("a program", Use.SHARED)
    upgrade = settings.run_migrations_on_startup and command.use is not Use.READS
    mine = held(settings)
    if mine is None and command.use in (Use.SHARED, Use.READS):
        what = f"{command.name} ({settings.pilot_role})" if serving else command.name
        mine = hold_on(settings.store_url, what=what)
        await asyncio.to_thread(bring_up, mine, upgrade=upgrade, serving=serving)
        stack.callback(mine.release)
    elif mine is None:
        mine = stack.enter_context(holding(settings, name=command.name, use=command.use))
        await asyncio.to_thread(bring_up_alone, settings.store_url, upgrade=upgrade)
    mine.mark()
    return mine


def _build(
    settings: Settings, stack: AsyncExitStack, store: Store, ledger: Ledger, *, executor_id: str, hold: Hold
) -> Runtime:
    base = make_base(settings, store=store, ledger=ledger, now=utc_now)
    connections = open_connections(settings, stack)
    policy = make_policy(settings, base=base, connections=connections)
    tools = make_tools(base=base, connections=connections)
    work = make_work(
        settings,
        base=base,
        connections=connections,
        policy_service=policy.policy_service,
        tool_registry=tools.tool_registry,
        executor_id=executor_id,
    )
    people = make_people(settings, base=base, connections=connections, lifecycle=work.lifecycle)
    return Runtime(
        services=make_services(
            base=base, connections=connections, policy=policy, tools=tools, work=work, people=people
        ),
        stopping=work.stopping,
        executor_id=executor_id,
        deliveries=make_deliveries(base=base, connections=connections, people=people),
        daily=CheckpointDigest(store, ledger, base.notifications, base.now),
        watch=LedgerWatch(store, ledger, base.alarm),
        alarm=base.alarm,
        sidecar=policy.sidecar,
        hold=hold,
    )


def make_deliveries(*, base: Base, connections: Connections, people: People) -> Mapping[str, Delivery]:
    """What works off the outbox but for chat, by what the process calls it."""
    store, bus, now = base.store, base.bus, base.now
    callbacks = Callbacks(store, bus, connections.http, base.vault, base.recorder, now)
    return {
        "mail": mail_queue(store, bus, connections.mailer, people.email_login, now, host=connections.host),
        "callbacks": callbacks.queue(),
    }
