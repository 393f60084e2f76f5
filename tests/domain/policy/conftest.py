"""Makes the builders of the policy's tests importable in every import mode."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
