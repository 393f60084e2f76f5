"""Makes the builders and vectors of the ledger's tests importable in every import mode."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
