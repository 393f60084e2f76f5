"""The published vectors under tests/vectors/receipts; each file names its source."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "vectors" / "receipts"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
