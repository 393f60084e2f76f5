"""The page that tells a third party how to verify is followed to the letter, with no Pilot in reach."""

import re
import subprocess
from pathlib import Path

import pytest
from ledger_builders import Log, filled

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "verify-an-archive.md"


def steps(heading: str) -> list[str]:
    """The commands of one section."""
    _, _, rest = PAGE.read_text().partition(f"## {heading}\n")
    return re.findall(r"```sh\n(.*?)```", rest.partition("\n## ")[0], re.DOTALL)


def follow(heading: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Do what the section says, in a folder that holds nothing but the archive."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(steps(heading))],
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    log: Log = filled(23)
    (tmp_path / "pilot-receipts.tar.gz").write_bytes(log.archive())
    return tmp_path


def test_the_archives_own_verifier(folder: Path) -> None:
    done = follow("With the archive's own verifier", folder)
    assert done.returncode == 0, done.stderr


def test_openssl_and_the_standard_library(folder: Path) -> None:
    assert len(steps("With openssl alone")) == 3
    done = follow("With openssl alone", folder)
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert "23 receipts are the ones that were signed for" in done.stdout


@pytest.mark.parametrize("changed", ["receipts/0000000007.json", "log/checkpoint"])
def test_what_was_changed_is_found(folder: Path, changed: str) -> None:
    """The same steps, with one character changed after unpacking."""
    section = "With openssl alone"
    unpack = "tar -xzf pilot-receipts.tar.gz\n"
    assert steps(section)[0].startswith(unpack)
    subprocess.run(["tar", "-xzf", "pilot-receipts.tar.gz"], cwd=folder, check=True)
    file = folder / changed
    text = file.read_text()
    place = text.index("2026") if changed.startswith("receipts") else text.index("\n")
    file.write_text(text[: place + 1] + ("9" if text[place + 1] != "9" else "8") + text[place + 2 :])
    script = "\n".join(steps(section)).removeprefix(unpack)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, check=False)
    assert done.returncode != 0
