"""Routes of audit, receipts and proofs."""
