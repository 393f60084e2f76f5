"""Receipts as messages: one of them, the whole log, and what does not agree with it."""

from collections.abc import Sequence

from aiogram.utils.formatting import Bold, Code, Pre, Text

from bot.links import Links
from bot.text import line
from bot.views import View, moment, view
from domain.outbox.notifications import CheckpointNotice
from locales import Texts
from locales.words import event, verdict_word
from services.ledger.verification import Checked, CheckedReceipt


def receipt(t: Texts, found: CheckedReceipt, links: Links, *, private: bool) -> View:
    """One receipt and whether it holds."""
    row = found.row
    hash_ = row.leaf_hash.hex()
    return view(
        Bold(t("receipt-title", hash=hash_[:12])),
        t("receipt-what", action=event(t, row.action), verdict=verdict_word(t, row.verdict))
        + (f" ({row.reason_code})" if row.reason_code else ""),
        t("receipt-who", who=line(found.executor, 120)),
        Text(t("receipt-when"), " ", moment(row.created_at)),
        t("receipt-place", index=row.idx),
        Code(hash_),
        t("receipt-bad", problem=line(found.problem, 300)) if found.problem else t("receipt-good"),
        keyboard=(
            (
                {"text": t("button-receipt", hash=hash_[:8]), "copy_text": {"text": hash_}},
                links.button(t("button-open"), page=f"receipts/{row.id}", start=f"rec_{row.id}", private=private),
            ),
        ),
    )


def checkpoint(t: Texts, found: CheckpointNotice) -> View:
    """The signed checkpoint of a log, for an owner to keep; or that there is none, since the log is damaged."""
    if found.problem is not None:
        return view(Bold(t("checkpoint-none")), t("verify-bad", problem=line(found.problem, 300)), t("checkpoint-hint"))
    return view(
        Bold(t("checkpoint-title")),
        t("checkpoint-size", size=found.size or 0),
        t("checkpoint-keep"),
        Pre((found.note or "").rstrip("\n")),
    )


def integrity(t: Texts, *, subject: str, differs: Sequence[str], count: int) -> View:
    """Something in the store is not what was signed: what, and what to do."""
    more = count - 1
    return view(
        Bold(t("integrity-title")),
        t(
            "integrity-what",
            subject=line(subject, 120),
            differs=line(", ".join(differs), 300),
        ),
        t("integrity-more", count=more) if more > 0 else None,
        t("integrity-hint"),
    )


def log_check(t: Texts, found: Checked) -> View:
    """Whether the log of receipts holds, and how to check without trusting this server."""
    return view(
        t("verify-bad", problem=line(found.problem, 300))
        if found.problem
        else t("verify-good", size=found.size, checked=found.checked),
        Text(t("verify-root"), " ", Code(found.root)) if found.root else None,
        t("verify-offline"),
    )
