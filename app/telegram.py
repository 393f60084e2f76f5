"""Puts the bot together. Importing this costs seconds: it is done on a thread while the port already answers."""

import locales
from app.settings import Settings
from bot.deps import BotDeps
from bot.links import Links, opens_in_chat
from bot.runner import BotRunner, Webhook, create_bot
from domain.clock import utc_now
from services.container import Services
from storage.installation.locks import Lock


def make_bot(settings: Settings, services: Services, *, example: str | None = None) -> BotRunner:
    """The bot of this installation; needs TELEGRAM_BOT_TOKEN."""
    assert settings.telegram_bot_token is not None
    in_chat = settings.telegram_http_apps or opens_in_chat(settings.public_url)
    deps = BotDeps(
        memberships=services.memberships,
        admission=services.admission,
        telegram_login=services.telegram_login,
        chat=services.chat,
        verification=services.verification,
        inbox=services.inbox,
        intake=services.intake,
        tasks=services.tasks,
        runs=services.runs,
        approvals=services.approvals,
        accept_invite=services.invites.accept,
        set_mode=services.settings.set_mode,
        set_kill_switch=services.settings.set_kill_switch,
        settings=services.settings.get,
        change_settings=services.settings.change,
        tools=lambda: [spec.name for spec in services.tool_registry.specs],
        translator=locales.load(),
        links=Links(app_url=settings.public_url, in_chat=in_chat),
        bus=services.bus,
        now=utc_now,
        **({} if example is None else {"example": example}),
    )
    webhook = None
    if settings.telegram_webhook:
        assert settings.telegram_webhook_secret is not None
        webhook = Webhook(app_url=settings.public_url, secret=settings.telegram_webhook_secret.get_secret_value())
    bot = create_bot(settings.telegram_bot_token.get_secret_value(), api_url=settings.telegram_api_url)
    return BotRunner(deps, bot, webhook=webhook, lead=Lock(services.store, "telegram"))
