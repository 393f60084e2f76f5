"""The job engine: durable segments of runs, by DBOS on the same database as the store.

A segment is queued inside the transaction that makes it necessary, under the id
`run:<run>:<segment>`, so it starts exactly when that transaction commits and never twice.
What a segment did is in our own journal; here it is only a durable "call me".
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain.errors import Unavailable
from storage.database import Store
from storage.sqlite import sqlite_engine
from storage.transaction import Tx

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions

# run, segment, workspace (None in jobs queued before it was told)
Handler = Callable[[str, int, str | None], Awaitable[None]]

# DBOS recovers only work of its own application version: a constant keeps deploys from orphaning segments.
ENGINE_VERSION = "engine-1"
QUEUE = "runs"
WORKFLOW = "segment"
# how long a cancelled segment may take to let go
CANCEL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """A segment as the engine sees it: `status` is ENQUEUED, PENDING, SUCCESS, ERROR or CANCELLED."""

    run_id: str
    segment: int
    status: str
    executor_id: str


def _job_id(run_id: str, segment: int) -> str:
    return f"run:{run_id}:{segment}"


def _job_of(workflow: Any) -> Job:
    _, run_id, segment = workflow.workflow_id.split(":")
    return Job(run_id, int(segment), workflow.status, workflow.executor_id or "")


class JobEngine:
    """One process's part in the engine. `start` once, `stop` once; `enqueue` inside a unit of work.

    A process that does not work (`worker=False`) may still enqueue for those that do.
    """

    def __init__(
        self,
        store: Store,
        *,
        executor_id: str,
        concurrency: int = 32,
        per_workspace: int = 4,
        poll_seconds: float = 0.1,
        threads: int = 24,
    ) -> None:
        self._store = store
        self.executor_id = executor_id
        self._concurrency = concurrency
        self._per_workspace = per_workspace
        self._poll_seconds = poll_seconds
        self._threads = threads
        self._client: DBOSClient | None = None
        self._working = False
        self._stopping = False
        self._in_hand: set[asyncio.Task[Any]] = set()

    @property
    def in_hand(self) -> int:
        """Segments this process works on right now."""
        return len(self._in_hand)

    @property
    def ready(self) -> bool:
        return self._client is not None

    async def start(self, handler: Handler | None, *, notifications_seconds: float = 1.0) -> None:
        """Create or migrate the engine's tables, take up this executor's interrupted segments, begin to work.

        `handler` None joins without working.
        """
        # One and a half seconds of imports: off the loop, so that the port answers meanwhile.
        dbos = await asyncio.to_thread(_import_dbos)
        file = self._store.sqlite
        engine = None if file is None else sqlite_engine(file.path, driver_begins=True)
        url = self._store.url if file is None else f"sqlite:///{file.path}"
        serializer = dbos.DBOSPortableJSONSerializer()
        client = await asyncio.to_thread(self._join, dbos, url=url, engine=engine, serializer=serializer)
        if handler is not None:

            async def segment(run_id: str, segment: int, workspace_id: str | None = None) -> None:
                if self._stopping:
                    # taken from the queue while stopping: a cancelled one is unfinished, and the next start takes it up
                    raise asyncio.CancelledError
                task = asyncio.current_task()
                assert task is not None
                self._in_hand.add(task)
                try:
                    await handler(run_id, segment, workspace_id)
                finally:
                    self._in_hand.discard(task)

            dbos.DBOS(
                config={
                    "name": "pilot",
                    "system_database_url": url,
                    **({"system_database_engine": engine} if engine is not None else {}),
                    "log_level": "ERROR",
                    "executor_id": self.executor_id,
                    "application_version": ENGINE_VERSION,
                    # unlimited otherwise, and DBOS makes its pool the loop's default executor
                    "max_executor_threads": self._threads,
                    # the default is pickle: whoever can write that table would run code here
                    "serializer": serializer,
                    "notification_listener_polling_interval_sec": notifications_seconds,
                }
            )
            dbos.DBOS.workflow(name=WORKFLOW, max_recovery_attempts=1000)(segment)
            # from the running loop: segments then run on it
            dbos.DBOS.launch()
            self._working = True
        self._client = client

    def _join(self, dbos: Any, *, url: str, engine: Any, serializer: Any) -> "DBOSClient":
        """Migrate the engine's tables and announce the queue before launch, which is when workers look for queues."""
        dbos.DBOS.migrate(url)
        client: DBOSClient = dbos.DBOSClient(
            system_database_url=url,
            **({"system_database_engine": engine} if engine is not None else {}),
            serializer=serializer,
        )
        client.register_queue(
            QUEUE,
            worker_concurrency=self._concurrency,
            partition_concurrency=self._per_workspace,
            polling_interval_sec=self._poll_seconds,
            on_conflict="always_update",
        )
        return client

    def enqueue(self, tx: Tx, *, run_id: str, segment: int, workspace_id: str, priority: int = 0) -> None:
        """Queue a segment in the caller's transaction. Queuing the same segment again changes nothing."""
        if self._client is None:
            raise Unavailable("the job engine is starting", code="engine_starting")
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": _job_id(run_id, segment),
            "queue_partition_key": workspace_id,
            "app_version": ENGINE_VERSION,
        }
        if priority:
            options["priority"] = priority
        self._client.enqueue_in_transaction(tx.connection, options, run_id, segment, workspace_id)

    async def list(self, *, status: str | None = None, executor_id: str | None = None) -> Sequence[Job]:
        """Segments the engine knows, oldest first."""
        client = self._need()
        found = await asyncio.to_thread(
            lambda: client.list_workflows(
                name=WORKFLOW,
                status=status,
                executor_id=executor_id,
                load_input=False,
                load_output=False,
            )
        )
        return [_job_of(w) for w in found]

    async def take_over(self, executor_id: str) -> int:
        """Requeue what an executor that will not come back had in hand; how many segments."""
        client = self._need()
        jobs = await self.list(status="PENDING", executor_id=executor_id)
        if jobs:
            ids = [_job_id(j.run_id, j.segment) for j in jobs]
            await asyncio.to_thread(lambda: client.resume_workflows(ids, queue_name=None))
        return len(jobs)

    async def purge(self, run_ids: Sequence[tuple[str, int]]) -> None:
        """Forget finished segments; the journal is ours."""
        client = self._need()
        ids = [_job_id(r, s) for r, s in run_ids]
        if ids:
            await asyncio.to_thread(lambda: client.delete_workflows(ids))

    async def stop(self, *, grace_seconds: int = 8) -> None:
        """Stop taking work, give what is in hand `grace_seconds`, close; the rest resumes at the next start.

        What is not done by then is cancelled, as if the process had died there: it must not go on, and fail, while the
        things it needs are closed one by one.
        """
        self._stopping = True
        ends = time.monotonic() + grace_seconds
        # what is in hand ends by itself after its step
        while self._in_hand and time.monotonic() < ends:  # noqa: ASYNC110 - a counter, looked at for seconds at most
            await asyncio.sleep(0.02)
        if unfinished := list(self._in_hand):
            for task in unfinished:
                task.cancel()
            await asyncio.wait(unfinished, timeout=CANCEL_SECONDS)
        if self._client is not None:
            client, self._client = self._client, None
            await asyncio.to_thread(client.destroy)
        if self._working:
            self._working = False
            await asyncio.to_thread(lambda: _import_dbos().DBOS.destroy(destroy_registry=True))
            # the engine had made its own pool the loop's default, and has just shut it down
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(4, thread_name_prefix="after-engine"))

    def _need(self) -> "DBOSClient":
        if self._client is None:
            raise Unavailable("the job engine is starting", code="engine_starting")
        return self._client


def _import_dbos() -> Any:
    import dbos  # noqa: PLC0415 - heavy: see start

    logging.getLogger("dbos").setLevel(logging.ERROR)
    return dbos
