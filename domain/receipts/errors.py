"""What can be wrong with signed bytes."""

from domain.errors import Invalid, PilotError


class LedgerError(PilotError):
    """The ledger's data does not hold together."""

    code = "ledger_damaged"


class NotCanonical(Invalid):
    """The value has no interoperable canonical JSON form."""

    code = "not_canonical"


class BadReceipt(LedgerError):
    """The receipt is malformed or its signature does not fit."""

    code = "bad_receipt"


class BadProof(LedgerError):
    """The proof does not lead to the root."""

    code = "bad_proof"


class BadNote(LedgerError):
    """The checkpoint or signed note is malformed or not signed by a known key."""

    code = "bad_note"


class BadKey(Invalid):
    """The key is no 32-byte Ed25519 key, or not one to trust."""

    code = "bad_key"
