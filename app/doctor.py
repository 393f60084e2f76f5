"""`pilot doctor`: looks at everything Pilot needs and says what is wrong, without starting it."""

import asyncio
import json
import shutil
import socket
import sqlite3
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from app.holding import holding
from app.settings import Settings
from app.store_use import Use

# before it, two connections writing and checkpointing at one moment can damage a WAL file (very rare)
WAL_RESET_FIXED = (3, 51, 3)


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
        _disk(settings),
        _telegram(settings),
        _mail(settings),
        _models(settings),
        *_sidecar(settings),
        _clock(),
    ]


def _store(settings: Settings) -> list[Finding]:
    from storage.hold import StoreError, holders

    findings: list[Finding] = []
    if settings.store_url.startswith("sqlite:"):
        version = sqlite3.sqlite_version
        good = tuple(map(int, version.split("."))) >= WAL_RESET_FIXED
        said = version if good else f"{version}: below 3.51.3; keep nightly backups (pilot backup)"
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
    from storage.database import Store
    from storage.migrate import newest, revision

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
        finally:
            asyncio.run(store.close())
    return findings if wrong is None else [*findings, Finding("signing key", False, wrong)]


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
    return Finding("telegram", True, "the bot answers")


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
