"""Files that bots sent or got."""

import secrets
from typing import Any

from simulator.state import StoredFile
from simulator.telegram import Telegram

FILE_LIMIT = 50_000_000
DOWNLOAD_LIMIT = 20_000_000


def keep_file(telegram: Telegram, bot_id: int, name: str, data: bytes, *, kind: str) -> dict[str, Any]:
    """Keep a file for a bot; a Document."""
    file_id = f"BQ{secrets.token_urlsafe(24)}"
    number = sum(1 for f in telegram.files.values() if f.bot_id == bot_id)
    ending = name.rpartition(".")[2] if "." in name else "bin"
    path = f"{kind}/file_{number}.{ending if ending.isalnum() else 'bin'}"
    telegram.files[file_id] = StoredFile(bot_id, name, data, path, kind)
    return {"file_id": file_id, "file_unique_id": f"AQ{file_id[2:14]}", "file_name": name, "file_size": len(data)}
