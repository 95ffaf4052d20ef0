"""Finds annotation sheets and image folders inside a root, wherever the download put them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from eyeground.errors import DataError


def require_root(root: Path) -> None:
    """Raises `DataError` when the cohort's folder is not there."""
    if not root.is_dir():
        raise DataError(f"no folder {root}; --root must name the cohort's folder")


def find_files(root: Path, suffix: str) -> list[Path]:
    """Files below the root whose names end so, sorted; hidden ones and spreadsheets' lock files (`~$`) left out."""
    found = []
    for folder, names in _walk(root):
        found += [folder / name for name in names if name.lower().endswith(suffix) and not name.startswith(("~$", "."))]
    return sorted(found)


def find_images(root: Path, listed: Collection[str]) -> dict[Path, dict[str, Path]]:
    """Folders below the root that hold listed files: folder to {file name in lower case: path}."""
    wanted = {name.lower() for name in listed if name}
    folders = {}
    for folder, names in _walk(root):
        here = {name.lower(): folder / name for name in names if name.lower() in wanted}
        if here:
            folders[folder] = here
    return folders


def files_in(folder: Path) -> dict[str, Path]:
    """The files of a folder by their names in lower case; none where the folder is not there."""
    return {path.name.lower(): path for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def text_lines(path: Path) -> list[str]:
    """The lines of a publishers' list. Raises `DataError` when it is not UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; copy it again from its source") from None


def listed_folder(root: Path, listed: Collection[str], prefer: str) -> dict[str, Path]:
    """Listed files that are there, {file name in lower case: path}; nothing where none is.

    Args:
        root: where to look, at any depth.
        listed: file names in the annotation table.
        prefer: a folder name that wins where several folders hold listed files.

    Raises:
        DataError: several folders hold some, and none of them, or more than one, has the preferred name.
    """
    return one_image_folder(root, listed, prefer)[1] if find_images(root, listed) else {}


def one_image_folder(root: Path, listed: Collection[str], prefer: str | None = None) -> tuple[Path, dict[str, Path]]:
    """The folder that holds the listed photographs.

    Args:
        root: where to look, at any depth.
        listed: file names in the annotation sheet.
        prefer: a folder name that wins where several folders hold listed photographs.

    Raises:
        DataError: no folder holds any of them, or several do.
    """
    folders = find_images(root, listed)
    preferred = [folder for folder in folders if folder.name == prefer]
    if len(folders) > 1 and len(preferred) == 1:
        folders = {preferred[0]: folders[preferred[0]]}
    if not folders:
        example = min((name for name in listed if name), default="1_left.jpg")
        raise DataError(f"no image folder in {root}: none of the listed files, such as {example}, is below it")
    if len(folders) > 1:
        raise DataError(
            f"{root} has {len(folders)} folders with listed photographs ({names_of(root, folders)}); "
            "point --root at a folder that holds only one of them"
        )
    return next(iter(folders.items()))


def names_of(root: Path, paths: Collection[Path]) -> str:
    """Paths relative to the root, sorted, for a message."""
    return ", ".join(sorted(f"'{path.relative_to(root)}'" for path in paths))


def _walk(root: Path) -> list[tuple[Path, list[str]]]:
    found = []
    for folder, children, names in os.walk(root):
        children[:] = sorted(child for child in children if not child.startswith("."))
        found.append((Path(folder), sorted(names)))
    return found
