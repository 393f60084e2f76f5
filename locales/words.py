"""What is kept in English because receipts and models read it, said to people in their language."""

from locales import Texts


def tool_does(t: Texts, tool: str, summary: str) -> str:
    """What a tool of Pilot's own does; of any other, what it says of itself."""
    key = "tool-" + tool.replace(".", "-")
    return t(key) if t.has(key) else summary


def event(t: Texts, action: str) -> str:
    """What an action of the audit log or of a receipt ("run:finished") is called; as it stands where it is not ours."""
    key = "event-" + action.replace(":", "-")
    return t(key) if t.has(key) else action


def verdict_word(t: Texts, verdict: str) -> str:
    """What the verdict of a receipt (ALLOW, deny) is called; as it stands where it is not ours."""
    key = "app-verdict-" + verdict.lower()
    return t(key) if t.has(key) else verdict


def can(t: Texts, phrase: str) -> str:
    """Translate a phrase of the permission table ("create API keys") so that it ends "Only an owner can ..."."""
    key = "can-" + phrase.lower().replace(" ", "-")
    return t(key) if t.has(key) else phrase


def why_asked(t: Texts, *, rule: str, tool: str, effect: int, reason: str) -> str:
    """Why a person is asked: in words of ours where a setting asks, and as it was written where a rule does."""
    if rule == "effect_level":
        return t("why-effect-level", tool=tool, reach=t(f"effect-{effect}"), level=effect)
    if rule == "approval_list":
        return t("why-approval-list", tool=tool)
    return reason


# why a run ended, by the code of its error
_ENDED = {
    "installation_budget_exceeded": "ended-installation-budget",
    "model_removed": "ended-model-removed",
    "no_model": "ended-no-model",
}


def why_ended(t: Texts, error: str, *, code: str | None = None) -> str:
    """Why a run ended: in the reader's language what a newcomer meets first, all else as it was written.

    `code` is the code of the error. A hint about the text of the task follows it on a line of its own.
    """
    if code not in _ENDED:
        return error
    _, _, hint = error.partition("\n")
    return f"{t(_ENDED[code])} {hint}".rstrip()
