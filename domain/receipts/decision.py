"""A decision signed as HELM's decision records are: Ed25519 over the canonical form of thirteen strings."""

import hashlib
from dataclasses import dataclass

from domain.receipts.canonical import canonical
from domain.receipts.signing import Signer

SIGNATURE_VERSION = "decision.v4"


@dataclass(frozen=True, slots=True)
class SignedDecision:
    """`hash` is `sha256:` and 64 hex digits of what was signed, `signature` 128 hex digits."""

    hash: str
    signature: str


def sign_decision(
    signer: Signer,
    *,
    decision_id: str,
    verdict: str,
    reason_code: str,
    reason: str,
    policy_hash: str,
    effect_digest: str,
    subject_id: str,
    action: str,
    resource: str,
) -> SignedDecision:
    """Sign one decision. What we have no word for (phenotype, threat scan) is signed as empty."""
    payload = canonical(
        {
            "signature_version": SIGNATURE_VERSION,
            "id": decision_id,
            "verdict": verdict,
            "reason_code": reason_code,
            "reason_hash": hashlib.sha256(reason.encode()).hexdigest(),
            "phenotype_hash": "",
            "policy_content_hash": policy_hash,
            "effect_digest": effect_digest,
            "threat_scan_hash": "",
            "subject_id": subject_id,
            "action": action,
            "resource": resource,
            "signature_type": f"ed25519:{signer.key_id}",
        }
    )
    return SignedDecision("sha256:" + hashlib.sha256(payload).hexdigest(), signer.sign(payload).hex())
