"""What leads out of the process, as the settings name it: mail, the web, models, tool servers, a sidecar, a login."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.settings import Settings
from connectors.cel import CelRules
from connectors.guard import Guard
from connectors.helm import HelmSidecar
from connectors.http import GuardedHttp
from connectors.login import OpenIdProvider
from connectors.mail import FileMailer, NoMailer, SmtpMailer
from connectors.mcp import McpConnector, parse_programs
from connectors.models.factory import PlannerFactory
from connectors.models.prices import PerMillion
from domain.clock import utc_now
from domain.ports import Mailer
from domain.receipts.signing import PublicKey
from storage import private


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The connectors of one installation. `host` is the domain of what it sends."""

    host: str
    rules: CelRules
    mailer: Mailer
    http: GuardedHttp
    planners: PlannerFactory
    mcp: McpConnector
    sidecar: HelmSidecar | None
    login: OpenIdProvider | None


def secret_of(value: Any) -> str:
    """A secret of the settings, "" where none is set."""
    return "" if value is None else str(value.get_secret_value())


def open_connections(settings: Settings, stack: AsyncExitStack) -> Connections:
    """All of them; nothing is connected to yet. `stack` closes what was opened meanwhile."""
    guard = Guard(settings.pilot_http_allow)
    planners = make_planners(settings, guard)
    stack.push_async_callback(planners.aclose)
    return Connections(
        host=urlsplit(settings.public_url).hostname or "localhost",
        rules=CelRules(),
        mailer=make_mailer(settings),
        http=GuardedHttp(allow=settings.pilot_http_allow),
        planners=planners,
        mcp=McpConnector(guard, programs=parse_programs(settings.pilot_mcp_stdio)),
        sidecar=make_sidecar(settings),
        login=make_login_provider(settings),
    )


def make_mailer(settings: Settings) -> Mailer:
    """The mailer the settings name."""
    if settings.email_provider == "smtp":
        return SmtpMailer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.email_from,
            user=settings.smtp_user,
            password=secret_of(settings.smtp_password),
            tls=settings.smtp_tls,
        )
    if settings.email_provider == "file":
        return FileMailer(folder=settings.pilot_data_dir / "mail", sender=settings.email_from, keep=private.keep)
    return NoMailer()


def make_planners(settings: Settings, guard: Guard) -> PlannerFactory:
    """What makes a planner of the models a workspace chose; `guard` is for addresses a workspace names."""
    return PlannerFactory(
        keys={
            "openrouter": secret_of(settings.openrouter_api_key),
            "openai": secret_of(settings.openai_api_key),
            "anthropic": secret_of(settings.anthropic_api_key),
        },
        openai_base_url=settings.openai_base_url,
        ollama_base_url=settings.ollama_base_url,
        default_model=settings.pilot_llm_model,
        timeout=settings.pilot_llm_timeout,
        stream=settings.pilot_llm_stream,
        unknown_price=PerMillion(settings.pilot_llm_unknown_price_in, settings.pilot_llm_unknown_price_out),
        guard=guard,
    )


def make_login_provider(settings: Settings) -> OpenIdProvider | None:
    """Telegram Login, where its client is set."""
    if not settings.telegram_login_client_id:
        return None
    issuer = urlsplit(settings.telegram_login_issuer)
    # a provider on this machine is for development: settings refuse it in production
    own = () if issuer.scheme == "https" else (f"{issuer.hostname}:{issuer.port or 80}",)
    return OpenIdProvider(
        GuardedHttp(allow=own),
        issuer=settings.telegram_login_issuer,
        client_id=settings.telegram_login_client_id,
        client_secret=secret_of(settings.telegram_login_client_secret),
        now=utc_now,
    )


def make_sidecar(settings: Settings) -> HelmSidecar | None:
    """The client of the HELM sidecar, where one is set."""
    if not settings.helm_governance_url:
        return None
    # whoever runs the installation chose these addresses: they may lie inside
    places = [urlsplit(url) for url in (settings.helm_governance_url, settings.helm_health_url) if url]
    allow = [f"{p.hostname}:{p.port or (443 if p.scheme == 'https' else 80)}" for p in places]
    return HelmSidecar(
        http=GuardedHttp(allow=allow),
        url=settings.helm_governance_url,
        health_url=settings.helm_health_url,
        api_key=secret_of(settings.helm_api_key),
        tenant_id=settings.helm_tenant_id,
        principal_id=settings.helm_principal_id,
        root=PublicKey(bytes.fromhex(settings.helm_public_key)),
        fail_closed=settings.helm_fail_closed,
    )
