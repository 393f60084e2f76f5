"""What is kept in English because receipts and models read it, said to people in their language."""

from locales import BASE, Texts, load


def tool_does(t: Texts, tool: str, summary: str) -> str:
    """What a tool of Pilot's own does; of any other, what it says of itself."""
    key = "tool-" + tool.replace(".", "-")
    return t(key) if t.has(key) else summary


def why_asked(t: Texts, *, rule: str, tool: str, effect: int, reason: str) -> str:
    """Why a person is asked: in words of ours where a setting asks, and as it was written where a rule does."""
    if rule == "effect_level":
        return t("why-effect-level", tool=tool, reach=t(f"effect-{effect}"), level=effect)
    if rule == "approval_list":
        return t("why-approval-list", tool=tool)
    return reason


def why_ended(t: Texts, error: str, *, code: str | None = None) -> str:
    """Why a run ended: in the reader's language what a newcomer meets first, all else as it was written.

    `code` is the run's own word for it, where it has one.
    """
    if code == "installation_budget_exceeded":
        return t("ended-installation-budget")
    return t("ended-no-model") if error == load().of(BASE)("ended-no-model") else error
