"""Methods that choose how updates come: setWebhook, deleteWebhook, getWebhookInfo."""

import re
from typing import Any

from simulator.errors import bad
from simulator.methods.table import Methods
from simulator.params import Params
from simulator.polling import stop_polling
from simulator.state import Bot
from simulator.telegram import Telegram

_SECRET = re.compile(r"[A-Za-z0-9_-]*")

METHODS = Methods()


def allowed_updates(params: Params) -> list[str] | None:
    """The kinds of updates a bot asks for; None = as before, an empty list = the usual ones."""
    if "allowed_updates" not in params:
        return None
    given = params.json("allowed_updates", "allowed updates")
    if not isinstance(given, list):
        raise bad("expected an Array of String as allowed_updates")
    return [str(kind) for kind in given]


@METHODS.named("setWebhook")
def _set_webhook(telegram: Telegram, bot: Bot, params: Params) -> Any:
    url = params.text("url")
    if not url:
        return _delete_webhook(telegram, bot, params)
    if not re.match(r"https?://[^/\s]+", url):
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    secret = params.text("secret_token")
    if len(secret) > 256:
        raise bad("secret token is too long")
    if not _SECRET.fullmatch(secret):
        raise bad("secret token contains unallowed characters")
    allowed = allowed_updates(params)
    if allowed is not None:
        bot.allowed = allowed
    stop_polling(bot, "setWebhook request")
    bot.webhook.url, bot.webhook.secret = url, secret
    bot.webhook.max_connections = min(100, max(1, params.integer("max_connections", 40)))
    bot.webhook.generation += 1
    for queued in bot.queue:
        queued.rests_until = 0.0
    _drop(bot, params)
    bot.bell.ring()
    return True


@METHODS.named("deleteWebhook")
def _delete_webhook(_telegram: Telegram, bot: Bot, params: Params) -> Any:
    bot.webhook.url = bot.webhook.secret = ""
    bot.webhook.generation += 1
    _drop(bot, params)
    bot.bell.ring()
    return True


def _drop(bot: Bot, params: Params) -> None:
    if params.flag("drop_pending_updates"):
        bot.queue.clear()


@METHODS.named("getWebhookInfo")
def _get_webhook_info(_telegram: Telegram, bot: Bot, _params: Params) -> Any:
    hook = bot.webhook
    info: dict[str, Any] = {
        "url": hook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(bot.queue),
    }
    if hook.url:
        info["max_connections"] = hook.max_connections
        if hook.last_error:
            info |= {"last_error_date": hook.last_error_at, "last_error_message": hook.last_error}
    if bot.allowed:
        info["allowed_updates"] = bot.allowed
    return info
