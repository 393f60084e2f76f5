"""What the store holds is held against the signed log: receipts, and every row that a receipt speaks of."""
