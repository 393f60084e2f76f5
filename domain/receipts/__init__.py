"""The pure ledger: receipts, their log, checkpoints, archives and everything that checks them. No I/O."""
