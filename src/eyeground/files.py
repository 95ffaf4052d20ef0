"""Files and folders that are whole or not there: written aside, then renamed. And their fingerprints."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eyeground.errors import DataError


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces), hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns a full disk, a read-only place or a missing folder into a sentence.

    Raises:
        DataError: instead of the `OSError`s that a user can mend.
    """
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "no space left on the disk; free some and run the same command again",
            errno.EDQUOT: "your disk quota is used up; free some and run the same command again",
            errno.EACCES: "permission denied; choose a folder you may write to",
            errno.EROFS: "the file system is read-only; choose another folder",
            errno.ENOENT: "no folder can be made there; choose another place",
            errno.ENOTDIR: "a part of the path is a file, not a folder",
            errno.EEXIST: "a part of the path is a file, not a folder",
            errno.EISDIR: "it is a folder; give the name of a file",
        }
        if error.errno not in reasons:
            raise
        raise DataError(f"can't write {path}: {reasons[error.errno]}") from error


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; renamed onto it when the block ends well, removed when it does not.

    Raises:
        DataError: no space, no permission.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with aside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, indented, whole or not at all. NaN is refused: undefined is null."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def folder_aside(path: Path) -> Iterator[Path]:
    """Like `aside` for a folder. A folder already at `path` is replaced only once the new one is whole.

    Raises:
        DataError: no space, no permission.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
                path.replace(old / "old")
                temporary.replace(path)
                shutil.rmtree(old)
            else:
                temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
