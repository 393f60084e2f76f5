"""Every setting of Pilot: one frozen value read from the environment and `.env`, checked all at once."""

import base64
import ipaddress
import re
import secrets
import shlex
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.identity.sign_up import SignUpMode, SignUpRule, allow_list, email_entry, telegram_entry
from storage import private

WEAK = ("change", "secret", "example", "default", "placeholder", "password", "dev-", "test")


class Settings(BaseSettings):
    """Names are the environment variables, in upper case. Empty values count as not set."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True, env_ignore_empty=True
    )

    # --- the installation
    pilot_env: Literal["development", "production"] = "development"
    pilot_data_dir: Path = Path("data")
    pilot_role: Literal["all", "web", "worker"] = "all"
    pilot_executor_id: str = ""
    pilot_trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    host: str = "127.0.0.1"
    port: int = Field(default=3100, ge=0, le=65535)
    app_url: str = ""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "console", "json"] = "auto"
    metrics_auth_token: SecretStr | None = None
    metrics_allow_public: bool = False

    # --- who may sign up
    pilot_signup: Literal["first", "invite", "open"] | None = None
    pilot_allow_emails: Annotated[tuple[str, ...], NoDecode] = ()
    pilot_allow_telegram_ids: Annotated[tuple[int, ...], NoDecode] = ()
    pilot_workspaces_per_person: int = Field(default=20, ge=1, le=10_000)

    # --- storage
    database_url: str = ""
    run_migrations_on_startup: bool = True

    # --- secrets (generated into the data directory in development when absent)
    session_secret: SecretStr | None = None
    encryption_key: SecretStr | None = None
    evidence_signing_key: SecretStr | None = None
    evidence_retiring_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()

    # --- Telegram
    telegram_bot_token: SecretStr | None = None
    telegram_webhook_secret: SecretStr | None = None
    telegram_webhook: bool = False
    telegram_api_url: str = "https://api.telegram.org"
    telegram_http_apps: bool = False
    telegram_init_data_max_age: int = Field(default=86_400, ge=60, le=604_800)
    telegram_login_client_id: str = ""
    telegram_login_client_secret: SecretStr | None = None
    telegram_login_issuer: str = "https://oauth.telegram.org"
    pilot_frame_ancestors: Annotated[tuple[str, ...], NoDecode] = ()

    # --- mail
    email_provider: Literal["smtp", "file", "noop"] = "file"
    email_from: str = "Pilot <pilot@localhost>"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"

    # --- models
    openrouter_api_key: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    openai_base_url: str = ""
    ollama_base_url: str = ""
    pilot_llm_model: str = ""
    pilot_llm_timeout: float = Field(default=90.0, gt=0, le=600)
    pilot_llm_stream: bool = True
    # US dollars for a million tokens of a model the price list does not know
    pilot_llm_unknown_price_in: Decimal = Field(default=Decimal(3), ge=0, le=10_000)
    pilot_llm_unknown_price_out: Decimal = Field(default=Decimal(15), ge=0, le=10_000)
    # US dollars that all workspaces together may spend with the installation's own keys
    pilot_budget_day_usd: Decimal | None = Field(default=None, ge=0, le=1_000_000)
    pilot_budget_month_usd: Decimal | None = Field(default=None, ge=0, le=10_000_000)

    # --- operators
    pilot_http_allow: Annotated[tuple[str, ...], NoDecode] = ()
    pilot_mcp_stdio: Annotated[tuple[str, ...], NoDecode] = ()
    pilot_workers: int = Field(default=32, ge=1, le=256)
    pilot_runs_per_workspace: int = Field(default=4, ge=1, le=64)
    pilot_retention_days: int = Field(default=30, ge=1, le=3650)

    # --- HELM sidecar
    helm_governance_url: str = ""
    helm_health_url: str = ""
    helm_api_key: SecretStr | None = None
    helm_tenant_id: str = "default"
    helm_principal_id: str = "system-admin"
    helm_public_key: str = ""
    helm_fail_closed: bool = True

    # --- administration
    pilot_admin_api_key: SecretStr | None = None

    # --- limits, requests a minute
    rate_limit_auth: int = Field(default=5, ge=1)
    rate_limit_task: int = Field(default=30, ge=1)
    rate_limit_default: int = Field(default=100, ge=1)
    rate_limit_page: int = Field(default=300, ge=1)
    rate_limit_workspace: int = Field(default=1200, ge=1)
    rate_limits_enabled: bool = True

    @field_validator(
        "pilot_trusted_proxies",
        "allowed_origins",
        "pilot_frame_ancestors",
        "pilot_http_allow",
        "pilot_mcp_stdio",
        "evidence_retiring_keys",
        mode="before",
    )
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        return _entries(value)

    @field_validator("pilot_allow_emails", mode="before")
    @classmethod
    def _are_addresses(cls, value: Any) -> Any:
        return tuple(email_entry(str(entry)) for entry in _entries(value))

    @field_validator("pilot_allow_telegram_ids", mode="before")
    @classmethod
    def _are_telegram_ids(cls, value: Any) -> Any:
        return tuple(telegram_entry(str(entry)) for entry in _entries(value))

    @field_validator(
        "app_url",
        "telegram_api_url",
        "telegram_login_issuer",
        "helm_governance_url",
        "helm_health_url",
        "openai_base_url",
        "ollama_base_url",
    )
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc):
            raise ValueError("must be an http or https address")
        return value.rstrip("/")

    @field_validator("pilot_mcp_stdio")
    @classmethod
    def _are_programs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            name, _, line = entry.partition("=")
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name) or not line.startswith("/"):
                raise ValueError("each entry is name=/absolute/path with arguments")
            shlex.split(line)
        return value

    @field_validator("helm_public_key")
    @classmethod
    def _is_public_key(cls, value: str) -> str:
        value = value.strip().lower()
        if value and not re.fullmatch(r"[0-9a-f]{64}", value):
            raise ValueError("must be 64 hex digits, as in the sidecar's root.pub")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str) -> str:
        for scheme in ("postgres://", "postgresql://", "postgresql+asyncpg://"):
            if value.startswith(scheme):
                return "postgresql+psycopg://" + value[len(scheme) :]
        if value and not value.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        problems = self._weak() if self.pilot_env == "production" else []
        if self.telegram_login_client_id and self.telegram_login_client_secret is None:
            problems.append("TELEGRAM_LOGIN_CLIENT_SECRET: needed with TELEGRAM_LOGIN_CLIENT_ID")
        problems += self._sidecar_problems()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _sidecar_problems(self) -> list[str]:
        """A sidecar is asked with its key, and believed by its pinned public key, or not at all."""
        if not self.helm_governance_url:
            return []
        needed = {"HELM_API_KEY": self.helm_api_key, "HELM_PUBLIC_KEY": self.helm_public_key}
        problems = [f"{name}: needed with HELM_GOVERNANCE_URL" for name, value in needed.items() if not value]
        if self.helm_governance_url == self.public_url:
            problems.append("HELM_GOVERNANCE_URL: is this installation itself, which would ask itself without end")
        return problems

    def _weak(self) -> list[str]:
        """What is fine in development and not in production."""
        problems = [
            f"{name.upper()}: {problem}"
            for name in ("session_secret", "encryption_key", "evidence_signing_key")
            if (problem := _weakness(getattr(self, name))) is not None
        ]
        if self.pilot_admin_api_key is not None and (weak := _weakness(self.pilot_admin_api_key)) is not None:
            problems.append(f"PILOT_ADMIN_API_KEY: {weak}")
        if not self.app_url.startswith("https://"):
            problems.append("APP_URL: must be the public https address in production")
        if "*" in self.allowed_origins:
            problems.append("ALLOWED_ORIGINS: * is not allowed in production")
        if self.telegram_webhook and _weakness(self.telegram_webhook_secret) is not None:
            problems.append("TELEGRAM_WEBHOOK_SECRET: needed with TELEGRAM_WEBHOOK, 16 characters or more")
        if not self.telegram_login_issuer.startswith("https://"):
            problems.append("TELEGRAM_LOGIN_ISSUER: must be an https address in production")
        if self.email_provider != "smtp":
            problems.append("EMAIL_PROVIDER: must be smtp in production, or nobody can log in by mail")
        if self.telegram_api_url != "https://api.telegram.org" and not self.telegram_api_url.startswith("https://"):
            problems.append("TELEGRAM_API_URL: the local simulator is refused in production")
        return problems

    @property
    def production(self) -> bool:
        return self.pilot_env == "production"

    @property
    def only_here(self) -> bool:
        """Whether nobody but this machine reaches the page and the bot, as far as the settings tell."""
        bot = self.telegram_bot_token is None or _is_loopback(urlsplit(self.telegram_api_url).hostname or "")
        page = _is_loopback(self.host) and (not self.app_url or _is_loopback(urlsplit(self.app_url).hostname or ""))
        return bot and page and not self.pilot_trusted_proxies

    @property
    def sign_up(self) -> SignUpRule:
        """Who may sign up; not set, it is everybody in development that only this machine reaches, else by invite."""
        mode = self.pilot_signup or ("open" if not self.production and self.only_here else "invite")
        return SignUpRule(
            mode=SignUpMode(mode),
            allowed=allow_list(self.pilot_allow_emails, self.pilot_allow_telegram_ids),
            workspaces_each=self.pilot_workspaces_per_person,
        )

    @property
    def store_url(self) -> str:
        """The database: as set, or a SQLite file in the data directory."""
        return self.database_url or f"sqlite:///{self.pilot_data_dir.absolute() / 'pilot.db'}"

    @property
    def public_url(self) -> str:
        """Where people reach this installation."""
        return self.app_url or f"http://{self.host}:{self.port}"


def _entries(value: Any) -> Any:
    """The parts of a comma-separated text; what is no text stays as it is."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _weakness(value: SecretStr | None) -> str | None:
    if value is None:
        return "is not set"
    text = value.get_secret_value()
    if len(text) < 16:
        return "is too short"
    if any(word in text.lower() for word in WEAK) or len(set(text)) < 8:
        return "looks like a placeholder"
    return None


class BadSettings(Exception):
    """Settings that cannot be used; `problems` names every wrong variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def load_settings(**overrides: Any) -> Settings:
    """The settings of the environment; BadSettings names everything that is wrong at once.

    In development, secrets that are not set are generated once into `<data>/secrets.env` (mode 0600).
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = _problems(error)
        # what depends on several values is only looked at when each is good by itself: look again without the bad ones
        bad = {str(one["loc"][0]) for one in error.errors() if one["loc"]}
        try:
            Settings(**overrides | {name: Settings.model_fields[name].get_default() for name in bad})
        except ValidationError as further:
            named = {name.upper() for name in bad}
            problems += [one for one in _problems(further) if bad and one.partition(":")[0] not in named]
        raise BadSettings(problems) from None
    return settings if settings.production else _with_generated_secrets(settings)


def _problems(error: ValidationError) -> list[str]:
    found: list[str] = []
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        message = one["msg"].removeprefix("Value error, ")
        if one["loc"]:
            found.append(f"{str(one['loc'][0]).upper()}: {message}")
        else:
            found.extend(message.split("\n"))
    return found


GENERATED = ("session_secret", "encryption_key", "evidence_signing_key", "telegram_webhook_secret")
SECRETS_FILE = "secrets.env"
# where `pilot keys rotate` puts the new signing key until it is in force
NEXT_KEY = "next-signing-key"
# how the names begin of all that Pilot keeps in its data directory
KEPT = (SECRETS_FILE, NEXT_KEY, "pilot.db", "mail", "demo")


def _with_generated_secrets(settings: Settings) -> Settings:
    missing = [name for name in GENERATED if getattr(settings, name) is None]
    if not missing:
        return settings
    kept = kept_secrets(settings.pilot_data_dir)
    fresh = {name: _random(name) for name in missing if name not in kept}
    if fresh:
        kept |= fresh
        path = keep_secrets(settings.pilot_data_dir, kept)
        # not among what a command prints for machines
        names = ", ".join(sorted(n.upper() for n in fresh))
        print(f"Generated {names} into {path} (mode 0600). Keep that file.", file=sys.stderr)
    update: dict[str, Any] = {name: SecretStr(kept[name]) for name in missing}
    if "evidence_signing_key" in update and not settings.evidence_retiring_keys:
        former = kept.get("evidence_retiring_keys", "").split(",")
        update["evidence_retiring_keys"] = tuple(SecretStr(key) for key in former if key)
    return settings.model_copy(update=update)


def kept_secrets(folder: Path) -> dict[str, str]:
    """What development generated into this data directory, by the names of the settings."""
    path = folder / SECRETS_FILE
    if not path.exists():
        return {}
    private.narrow(path)
    pairs = (line.partition("=") for line in path.read_text().splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def keep_secrets(folder: Path, kept: Mapping[str, str]) -> Path:
    """Write them all; the file."""
    path = folder / SECRETS_FILE
    private.keep(path, "".join(f"{name.upper()}={value}\n" for name, value in sorted(kept.items())))
    return path


def _random(name: str) -> str:
    if name == "telegram_webhook_secret":
        return secrets.token_urlsafe(32)
    return base64.b64encode(secrets.token_bytes(32)).decode()
