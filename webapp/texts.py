"""Which language a reader gets, and the texts the page's own scripts need."""

from collections.abc import Sequence

from locales import Texts, Translator

# texts that scripts put on the page themselves
SCRIPT_KEYS: tuple[str, ...] = (
    "app-live",
    "app-offline",
    "app-done",
    "app-saved",
    "app-approved",
    "app-denied",
    "app-sent-back",
    "app-voted",
    "app-approve",
    "app-deny",
    "app-cancel",
    "app-continue",
    "app-leave",
    "app-leave-yes",
    "app-leave-no",
    "app-edited",
    "app-bad-json",
    "app-missing",
    "app-confirm-differs",
    "app-shown-once",
    "app-copied",
    "app-code-sent",
    "app-code-shown",
    "app-welcome",
    "app-error-sign_up_closed",
    "app-error-invite_unusable",
    "app-error-workspace_not_allowed",
    "app-error-too_many_workspaces",
    "app-login-not-given",
    "app-starting",
    "app-unreachable",
    "app-failed-request",
    "app-again",
    "app-wait",
    "app-check-known-key",
    "app-check-signature",
    "app-check-leaf",
    "app-check-inclusion",
    "app-check-checkpoint",
    "app-check-columns",
    "app-check-payloads",
    "app-checked-here",
    "app-checked-by-server",
    "app-check-bad",
    "app-step-up-inside",
    "app-step-up-outside",
    "app-tried-nothing",
    "app-tried-same",
    "app-tried-different",
    "app-tried-verdict",
    "app-verdict-allow",
    "app-verdict-deny",
    "app-verdict-escalate",
)
# refusals that are said in the words of the chat
SCRIPT_ERRORS: tuple[str, ...] = (
    "altered",
    "approval_decided",
    "approval_expired",
    "illegal_move",
    "not_a_decider",
    "not_uncertain",
    "operator_paused",
    "rate_limited",
    "requester_excluded",
    "run_active",
    "stale_digest",
    "stale_version",
    "undo_closed",
)
TABS: tuple[tuple[str, str, str], ...] = (
    ("home", "app-tab-home", "M3 11.2 12 4l9 7.2M5.5 9.5V20h13V9.5"),
    (
        "tasks",
        "app-tab-tasks",
        "M4 6.5l1.6 1.6L8.5 5M4 13l1.6 1.6 2.9-3.1M4 19.3l1.6 1.6 2.9-3.1M12 7h8M12 13.5h8M12 20h8",
    ),
    (
        "approvals",
        "app-tab-approvals",
        "M12 3l7.5 3v5.5c0 4.6-3.1 8-7.5 9.5-4.4-1.500-7.5-4.900-7.5-9.5V6zM8.600 12l2.4 2.4 4.4-4.700",
    ),
    (
        "receipts",
        "app-tab-receipts",
        "M6 3.5h12V21l-2.400-1.500L13.200 21l-2.400-1.500L8.400 21 6 19.500zM9 8.500h6M9 12.500h6",
    ),
    ("more", "app-tab-more", "M4 7h10M18 7h2M4 12h3M11 12h9M4 17h10M18 17h2M14 5v4M7 10v4M14 15v4"),
)


def wanted(header: str, translator: Translator) -> Sequence[str]:
    """The languages of an `Accept-Language` header, best first; what cannot be read is left out."""
    found: list[tuple[float, int, str]] = []
    for place, entry in enumerate(header[:300].split(",")[:20]):
        code, _, weight = entry.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        if (known := translator.match(code)) is not None and quality > 0:
            found.append((-quality, place, known))
    return [code for _, _, code in sorted(found)]


def script_texts(t: Texts) -> dict[str, str]:
    """The texts for the scripts, by key without its prefix. `{name}` in them is filled in by the script."""
    return {
        **{f"error-{code}": t(f"error-{code}") for code in SCRIPT_ERRORS},
        "error-insufficient_role": t("app-not-allowed"),
        **{key.removeprefix("app-"): t(key, **_BLANKS) for key in SCRIPT_KEYS},
    }


def tab_texts(t: Texts) -> dict[str, str]:
    """The words of the tab bar by page."""
    return {page: t(key) for page, key, _ in TABS}


_BLANKS = {
    name: "{" + name + "}"
    for name in ("email", "code", "size", "seconds", "have", "need", "name", "tested", "count", "before", "after")
}
