"""Files and folders that only their owner may read, from their first byte: whatever Pilot keeps is made here.

A mode given when a file is made leaves no moment in which others could open it; `chmod` afterwards does. The umask is
of no help: it may be anything, and belongs to the whole process.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE, FOLDER = 0o600, 0o700
# what SQLite keeps beside a database; it gives them the database's own mode
SIDE_FILES = ("-wal", "-shm", "-journal")


def folder(path: Path) -> Path:
    """Make the folder, and those above it that are missing; one that is there stays as it is (see `narrow_folder`)."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir(mode=FOLDER)
            one.chmod(FOLDER)
            _hand_over(one, one.parent)
    return path


def narrow_folder(path: Path, known: Iterable[str]) -> None:
    """Close a folder to others, if nothing else than what Pilot keeps (`known`, by how the names begin) is in it.

    One that holds more is not ours to close.
    """
    if path.is_symlink() or not path.is_dir() or not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return
    if path.stat().st_mode & stat.S_ISVTX:
        return
    names = tuple(known)
    if all(one.name.startswith(names) for one in path.iterdir()):
        with suppress(PermissionError):
            path.chmod(FOLDER)


def open_new(path: Path) -> int:
    """A descriptor of a file that is made now; FileExistsError when anything has the name, a symbolic link, too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE)
    # a umask takes bits away: the owner is to have both
    os.fchmod(descriptor, FILE)
    return descriptor


def open_kept(path: Path) -> int:
    """A descriptor of a file that is made if it is missing; one with a wider mode is narrowed."""
    try:
        descriptor = open_new(path)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        _narrow(descriptor)
    else:
        _hand_over(path, path.parent)
    return descriptor


def keep(path: Path, content: str | bytes) -> None:
    """`replace`, in a folder that is made if it is missing."""
    folder(path.parent)
    replace(path, content)


def replace(path: Path, content: str | bytes) -> None:
    """Put a file in a file's place. After a crash it is the old one or the new one, never half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(open_new(fresh), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    _hand_over(fresh, path if path.exists() else path.parent)
    fresh.replace(path)
    sync_folder(path.parent)


def database(path: Path) -> None:
    """Make the file of a SQLite database, empty, or narrow the one that is there with what lies beside it.

    Before anything is written: the files SQLite keeps beside it take their mode from it.
    """
    folder(path.parent)
    if not path.exists():
        with suppress(FileExistsError):
            os.close(open_new(path))
            _hand_over(path, path.parent)
            return
    # never open and close it here: that would take away the locks this process may have on it
    for one in (path, *side_files(path)):
        narrow(one)


def narrow(path: Path) -> None:
    """Close a file that others could read, if there is one and it is ours."""
    with suppress(FileNotFoundError, PermissionError):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(FILE)


def side_files(path: Path) -> tuple[Path, ...]:
    """What may lie beside the database `path`."""
    return tuple(path.with_name(path.name + end) for end in SIDE_FILES)


@contextmanager
def workshop(within: Path) -> Iterator[Path]:
    """A new folder in another one for what is not whole yet: nobody else gets at what is made in it."""
    # mkdtemp makes it for its owner alone
    made = Path(tempfile.mkdtemp(prefix=".pilot-", dir=within))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def give(made: Path, path: Path) -> None:
    """Give a finished file its name; FileExistsError when anything has it already. It is there whole, or not at all."""
    with open(made, "rb") as file:  # noqa: PTH123 - to be synced
        os.fsync(file.fileno())
    try:
        path.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:
        # a file system without links: the name is taken first, by nothing
        os.close(open_new(path))
        made.replace(path)
    sync_folder(path.parent)


def owned_like(made: Path, model: Path) -> None:
    """What the administrator makes in the place of somebody's file is to be that somebody's."""
    _hand_over(made, model)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _narrow(descriptor: int) -> None:
    with suppress(PermissionError):
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            os.fchmod(descriptor, FILE)


def _hand_over(made: Path, model: Path) -> None:
    """As root, which a command may be given as: the account that Pilot runs under has to get at it."""
    if os.geteuid() != 0:
        return
    owner = model.stat()
    if owner.st_uid != 0 and not owner.st_mode & stat.S_ISVTX:
        os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)
