"""What Telegram's refusals mean for a message, and simpler forms of a message that it refused."""

from collections.abc import Sequence
from enum import Enum, auto

from bot.text import LIMIT, clip, units
from bot.views import View


class Refusal(Enum):
    """What a 400 means. Whatever is not known is about what the message holds."""

    UNCHANGED = auto()
    # the message to edit was deleted ...
    DELETED = auto()
    # ... or is too old, or not to be edited for another reason
    LOCKED = auto()
    NOTHING_TO_REPLY_TO = auto()
    CHAT_GONE = auto()
    CONTENT = auto()


# the first that is found in Telegram's words, all of them in small letters
WORDS: Sequence[tuple[str, Refusal]] = (
    ("message is not modified", Refusal.UNCHANGED),
    ("message to be replied not found", Refusal.NOTHING_TO_REPLY_TO),
    ("message to reply not found", Refusal.NOTHING_TO_REPLY_TO),
    ("replied message not found", Refusal.NOTHING_TO_REPLY_TO),
    ("reply message not found", Refusal.NOTHING_TO_REPLY_TO),
    ("message to edit not found", Refusal.DELETED),
    ("message_id_invalid", Refusal.DELETED),
    ("message can't be edited", Refusal.LOCKED),
    ("message is too old", Refusal.LOCKED),
    ("message_edit_time_expired", Refusal.LOCKED),
    ("message_author_required", Refusal.LOCKED),
    ("chat not found", Refusal.CHAT_GONE),
    ("user not found", Refusal.CHAT_GONE),
    ("user is deactivated", Refusal.CHAT_GONE),
    ("bot was kicked", Refusal.CHAT_GONE),
    ("bot is not a member", Refusal.CHAT_GONE),
    ("group chat was deactivated", Refusal.CHAT_GONE),
    ("not enough rights", Refusal.CHAT_GONE),
    ("have no rights to send", Refusal.CHAT_GONE),
    ("need administrator rights", Refusal.CHAT_GONE),
    ("chat_write_forbidden", Refusal.CHAT_GONE),
    ("chat_restricted", Refusal.CHAT_GONE),
    ("peer_id_invalid", Refusal.CHAT_GONE),
    ("input_user_deactivated", Refusal.CHAT_GONE),
    ("user_is_blocked", Refusal.CHAT_GONE),
)


def refusal_of(text: str) -> Refusal:
    """What Telegram's words mean."""
    text = text.lower()
    return next((meaning for words, meaning in WORDS if words in text), Refusal.CONTENT)


def simpler(view: View, *, elsewhere: str, instead: str) -> Sequence[View]:
    """What is sent in place of a message that was refused, one after the other until one is taken.

    First without entities, then with the buttons that only answer, then without buttons, at last only `instead`, which
    holds nothing of the message. What loses buttons says `elsewhere`: where its reader finds them.
    """
    text = view["text"]
    keyboard = view.get("keyboard") or []
    told = f"{clip(text, LIMIT - units(elsewhere) - 2)}\n\n{elsewhere}" if keyboard else text
    answering = [kept for row in keyboard if (kept := [button for button in row if "callback_data" in button])]
    forms: list[View] = [
        {name: value for name, value in view.items() if name != "entities"},
        {"text": told, **({"keyboard": answering} if answering else {})},
        {"text": told},
        {"text": instead},
    ]
    if answering == keyboard:
        # nothing would be different but that something is said to be missing
        del forms[1]
    seen: list[View] = [view if view.get("entities") else forms[0]]
    for form in forms:
        if form not in seen:
            seen.append(form)
    return seen[1:]
