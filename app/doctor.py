"""`pilot doctor`: looks at everything Pilot needs and says what is wrong, without starting it."""

import asyncio
import json
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from app.holding import holding
from app.settings import Settings
from app.sign_up import SignUpState, sign_up_state, words
from app.store_use import Use
from domain.clock import utc_now
from storage.database import Store
from storage.installation import spend_rows
from storage.migrate import newest, revision
from storage.transaction import Tx

T = TypeVar("T")

# before it, two connections writing and checkpointing at one moment can damage a WAL file (very rare)
WAL_RESET_FIXED = (3, 51, 3)
# an update that waits for longer is stuck
WAITS_LONG = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One look: `bearable` problems do not make the doctor fail."""

    what: str
    ok: bool
    said: str
    bearable: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "ok": self.ok, "said": self.said, "bearable": self.bearable}


def examine(settings: Settings) -> list[Finding]:
    """Every finding, in a fixed order."""
    return [
        Finding("settings", True, f"{settings.pilot_env}, {settings.public_url}"),
        *_store(settings),
        _sign_up(settings),
        _disk(settings),
        _telegram(settings),
        *_updates(settings),
        _mail(settings),
        _models(settings),
        *_budget(settings),
        *_sidecar(settings),
        _clock(),
    ]


def _store(settings: Settings) -> list[Finding]:
    from storage.installation.hold import StoreError
    from storage.installation.holds import holders

    findings: list[Finding] = []
    if settings.store_url.startswith("sqlite:"):
        version = sqlite3.sqlite_version
        good = tuple(map(int, version.split("."))) >= WAL_RESET_FIXED
        said = (
            version
            if good
            else f"{version}: before 3.51.3 two connections can damage the file (very rare): back it up every night"
        )
        findings.append(Finding("sqlite", good, said, bearable=True))
    try:
        users = holders(settings.store_url)
        if not any(one.alone for one in users):
            findings += _opened(settings)
        findings.append(Finding("in use", True, f"by {' and '.join(map(str, users)) or 'nobody'}"))
    except StoreError as error:
        findings.append(Finding("store", False, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever keeps it from opening is the finding
        findings.append(Finding("store", False, f"{type(error).__name__}: cannot be opened"))
    return findings


def _opened(settings: Settings) -> list[Finding]:
    """The store, while nobody is alone with it. One that is not there yet is not made."""
    from app.container import make_ledger, wrong_key

    at = revision(settings.store_url)
    if at is None:
        return [Finding("store", True, "empty: the first start creates it")]
    findings = [Finding("store", at == newest(), f"schema {at}, expected {newest()}")]
    if at != newest():
        return findings
    with holding(settings, name="doctor", use=Use.READS):
        store = Store(settings.store_url)
        try:
            ledger = make_ledger(settings)
            wrong = wrong_key(settings, ledger, asyncio.run(store.read(ledger.ring)))
            findings += [Finding("signing key", False, wrong)] if wrong is not None else [_ledger(store, ledger)]
        finally:
            asyncio.run(store.close())
    return findings


def _sign_up(settings: Settings) -> Finding:
    said = words(settings, _read(settings, sign_up_state, empty=SignUpState(people=0, ever=False)))
    return Finding("sign-up", said.well, said.text, bearable=True)


def _ledger(store: Any, ledger: Any) -> Finding:
    """Every log, and every row that its receipts speak of, read again from the signed bytes."""
    from services.ledger.watch import LedgerWatch
    from storage.ledger import log_rows

    async def look() -> int:
        await LedgerWatch(store, ledger, rest=0.0).look()
        return len(await store.read(log_rows.logs))

    count = asyncio.run(look())
    wrong = [f"{place}: {why}" for place, why in ledger.damaged.items()]
    wrong += [
        f"{place}: {subject} is not as it was signed ({', '.join(differs)})"
        for place, found in ledger.altered.items()
        for subject, differs in found.items()
    ]
    more = f", and {len(wrong) - 20} more" if len(wrong) > 20 else ""
    return Finding("ledger", not wrong, "; ".join(wrong[:20]) + more if wrong else f"{count} logs, everything holds")


def _disk(settings: Settings) -> Finding:
    place = settings.pilot_data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return Finding(
        "disk", free > 500_000_000, f"{free / 1e9:.1f} GB free at {Path(place).name or place}", bearable=True
    )


def _telegram(settings: Settings) -> Finding:
    if settings.telegram_bot_token is None:
        return Finding("telegram", False, "TELEGRAM_BOT_TOKEN is not set: Pilot runs without a bot", bearable=True)
    url = f"{settings.telegram_api_url}/bot{settings.telegram_bot_token.get_secret_value()}/getMe"
    before = time.time()
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310 - the scheme was checked with the settings
            date = answer.headers.get("Date")
    except HTTPError as error:
        return Finding("telegram", False, f"getMe answered {error.code}: is the token right?")
    except (URLError, OSError):
        return Finding("telegram", False, f"{settings.telegram_api_url} cannot be reached")
    skew = abs(parsedate_to_datetime(date).timestamp() - before) if date else 0.0
    if skew > 30:
        return Finding(
            "telegram", False, f"reached, but the clocks are {skew:.0f} s apart: launch data would be refused"
        )
    return _delivery(settings)


def _delivery(settings: Settings) -> Finding:
    """Whether Telegram delivers where this installation takes updates in."""
    from domain.chat.updates import Unreadable, load

    assert settings.telegram_bot_token is not None
    url = f"{settings.telegram_api_url}/bot{settings.telegram_bot_token.get_secret_value()}/getWebhookInfo"
    try:
        with urlopen(url, timeout=10) as answer:  # noqa: S310 - the scheme was checked with the settings
            found = load(answer.read(100_000))["result"]
        address, waiting, error = found["url"], found["pending_update_count"], found.get("last_error_message")
    except (OSError, Unreadable, LookupError, TypeError, AttributeError):
        # a Bot API that does not tell
        return Finding("telegram", True, "the bot answers")
    own = f"{settings.public_url}/api/telegram/webhook"
    if not settings.telegram_webhook and address:
        said = "a webhook is set, so polling gets nothing: pilot serve takes it away when it starts"
    elif settings.telegram_webhook and address != own:
        said = f"the webhook does not lead to {own}: pilot serve sets it when it starts"
    elif settings.telegram_webhook and error:
        said = f"Telegram could not deliver: {str(error)[:200]}; {waiting} updates wait there"
    else:
        return Finding("telegram", True, "the bot answers")
    return Finding("telegram", False, f"the bot answers, but {said}", bearable=True)


def _updates(settings: Settings) -> list[Finding]:
    """What the inbox holds that nobody has dealt with; nothing where there is no bot, or no store yet."""
    from storage.chat import inbox_rows, intake_rows
    from storage.database import Store
    from storage.migrate import current, newest

    if settings.telegram_bot_token is None:
        return []
    store = Store(settings.store_url)
    try:
        with store.engine.connect() as connection:
            if current(connection) != newest():
                return []
        backlog = asyncio.run(store.read(inbox_rows.backlog))
        heard = asyncio.run(store.read(lambda tx: intake_rows.get(tx, "telegram")))
    except Exception:  # noqa: BLE001 - that the store cannot be opened is a finding of its own
        return []
    finally:
        asyncio.run(store.close())
    now = datetime.now(UTC)
    waits = timedelta() if backlog.oldest is None else now - backlog.oldest
    said = [f"{backlog.waiting} wait" + (f", the oldest for {_seconds(waits)} s" if backlog.waiting else "")]
    said.append(f"{backlog.set_aside} set aside (could not be read), {backlog.failed} failed")
    if heard is not None:
        contact = "never" if heard.well_at is None else f"{_seconds(now - heard.well_at)} s ago"
        said.append(f"last contact by {heard.way} {contact}" + ("" if heard.word == "ok" else f", then: {heard.word}"))
    well = not backlog.set_aside and waits < WAITS_LONG and (heard is None or heard.word == "ok")
    return [Finding("updates", well, "; ".join(said), bearable=True)]


def _seconds(span: timedelta) -> int:
    return max(0, int(span.total_seconds()))


def _mail(settings: Settings) -> Finding:
    if settings.email_provider != "smtp":
        return Finding("mail", False, f"{settings.email_provider}: codes do not leave this machine", bearable=True)
    try:
        with socket.create_connection((settings.smtp_host, settings.smtp_port), timeout=5):
            return Finding("mail", True, f"{settings.smtp_host}:{settings.smtp_port} answers")
    except OSError:
        return Finding("mail", False, f"{settings.smtp_host}:{settings.smtp_port} cannot be reached")


def _models(settings: Settings) -> Finding:
    keys = {
        "openrouter": settings.openrouter_api_key,
        "openai": settings.openai_api_key,
        "anthropic": settings.anthropic_api_key,
    }
    named = [name for name, key in keys.items() if key is not None]
    if settings.ollama_base_url:
        named.append(f"ollama at {urlsplit(settings.ollama_base_url).netloc}")
    if settings.openai_base_url:
        named.append(f"OpenAI protocol at {urlsplit(settings.openai_base_url).netloc}")
    said = ", ".join(named) or "none: operators run playbooks only"
    return Finding("models", bool(named), said, bearable=True)


def _budget(settings: Settings) -> list[Finding]:
    """What all workspaces together have spent with the keys of this installation, where it has any or limits them."""
    limits = {"today": settings.pilot_budget_day_usd, "this month": settings.pilot_budget_month_usd}
    keys = (settings.openrouter_api_key, settings.openai_api_key, settings.anthropic_api_key)
    if not any(keys) and all(limit is None for limit in limits.values()):
        return []
    day = utc_now().date()
    spent = _read(
        settings,
        lambda tx: spend_rows.used(tx, day=day.isoformat(), month=day.replace(day=1).isoformat())[:2],
        empty=(0, 0),
    )
    if spent is None:
        return []
    said, well = [], any(limit is not None for limit in limits.values())
    for (span, limit), micros in zip(limits.items(), spent, strict=True):
        usd = Decimal(micros) / 1_000_000
        said.append(f"{span} {usd:.2f}" + (" USD" if limit is None else f" of {limit:.2f} USD"))
        well = well and (limit is None or usd < limit)
    if all(limit is None for limit in limits.values()):
        said.append("no limit: PILOT_BUDGET_DAY_USD is not set")
    return [Finding("budget", well, f"spent with the keys of this installation: {', '.join(said)}", bearable=True)]


def _read(settings: Settings, work: Callable[[Tx], T], *, empty: T) -> T | None:
    """What `work` finds in the store, `empty` where there is none yet; None while it cannot be read by this version."""
    try:
        at = revision(settings.store_url)
        if at is None:
            return empty
        if at != newest():
            return None
        with holding(settings, name="doctor", use=Use.READS):
            store = Store(settings.store_url)
            try:
                return asyncio.run(store.read(work))
            finally:
                asyncio.run(store.close())
    except Exception:  # noqa: BLE001 - what keeps it from opening is a finding of its own
        return None


def _sidecar(settings: Settings) -> list[Finding]:
    if not settings.helm_governance_url:
        return []
    base = settings.helm_health_url or settings.helm_governance_url
    try:
        with urlopen(f"{base}/healthz", timeout=5) as answer:  # noqa: S310 - the scheme was checked with the settings
            said = json.loads(answer.read(10_000))
        return [Finding("sidecar", said["status"] == "ok", f"HELM kernel {said['version']} at {urlsplit(base).netloc}")]
    except (OSError, ValueError, KeyError, TypeError):
        said = f"no HELM kernel answers at {urlsplit(base).netloc}: calls are denied"
        return [Finding("sidecar", False, said)]


def _clock() -> Finding:
    zone = time.strftime("%Z")
    return Finding("clock", True, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {zone}")
