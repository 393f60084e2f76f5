import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.initdata import BadInitData, _fields, key_of_token, signature_fits, verify, verify_signature

DATA = json.loads((Path(__file__).parent.parent / "vectors" / "initdata.json").read_text())
NOW = datetime.fromtimestamp(DATA["now"], UTC)
KEY = key_of_token(DATA["token"])


def test_the_key_is_derived_as_documented() -> None:
    assert KEY.hex() == DATA["token_hashed_hex"]


@pytest.mark.parametrize("vector", DATA["vectors"], ids=lambda v: v["id"])
def test_vectors(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    if expect["authenticate"]:
        assert verify(vector["init_data"], key=KEY, now=NOW).user.id > 0
    else:
        with pytest.raises(BadInitData) as refused:
            verify(vector["init_data"], key=KEY, now=NOW)
        assert refused.value.status == 401
        assert refused.value.reason == expect.get("reason", refused.value.reason)
        assert vector["init_data"] not in str(refused.value)
    if "ed25519" in expect:
        fields = _fields(vector["init_data"])
        fits = signature_fits(fields, bot_id=DATA["bot_id"], public_key=DATA["ed25519_public_key"])
        assert fits is expect["ed25519"]


def test_a_third_party_can_log_in_by_signature() -> None:
    raw = next(v for v in DATA["vectors"] if v["id"] == "ed25519-padded")["init_data"]
    found = verify_signature(raw, bot_id=DATA["bot_id"], public_key=DATA["ed25519_public_key"], now=NOW)
    assert found.user.id == 1001
    with pytest.raises(BadInitData):
        verify_signature(raw, bot_id=1, public_key=DATA["ed25519_public_key"], now=NOW)
