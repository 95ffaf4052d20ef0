"""The challenge's submission: a folder of `<ID>_left` and `<ID>_right` photographs to one row a patient."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eyeground.errors import DataError
from eyeground.metrics.predictions import plain_number, read_table, write_predictions
from eyeground.metrics.thresholds import map_to_half
from eyeground.progress import Track
from eyeground.records import SIDES, Eye, Visit
from eyeground.runs.data import prepare_visits
from eyeground.runs.engine import Reader
from eyeground.runs.place import Place

NAME = re.compile(r"^(?P<id>.+)_(?P<side>left|right)\.(jpe?g|png|tiff?|bmp)$", re.IGNORECASE)


@dataclass(frozen=True)
class Order:
    """Where the photographs are, whose rows are wanted (None: everybody's, by ascending ID), and where they go."""

    images: Path
    template: Path | None
    out: Path
    map_thresholds: bool = False


def submit(model: Reader, order: Order, place: Place, track: Track, say: Callable[[str], None]) -> int:
    """Writes the file `ID,<labels>`; returns the number of rows.

    Raises:
        DataError: no photographs, a template's patient without a readable one (all are named, nothing is written).
    """
    found = _photographs(order.images)
    ids = _template_ids(order.template) if order.template else sorted(found, key=_natural)
    absent = [name for name in ids if name not in found]
    if absent:
        raise DataError(
            f"{len(absent)} patients of {order.template} have no photograph in {order.images} "
            f"({', '.join(absent[:5])}); every row needs at least one eye"
        )
    spare = len(found) - len(set(ids))
    if spare:
        say(f"{spare} patients with photographs are not in {order.template} and are left out")
    blank: tuple[None, ...] = (None,) * len(model.bundle.vocabulary)
    visits = [_visit(name, found[name], blank) for name in ids]
    bundle = model.bundle
    if bundle.stamp:
        say(f"the model was trained under a leaky protocol: {bundle.stamp}")
    prepared = prepare_visits(visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"can't be read: {text}")
    lost = [name for name in ids if name not in prepared.eyes]
    if lost:
        raise DataError(
            f"{len(lost)} patients have no readable photograph ({', '.join(lost[:5])}); nothing was written"
        )
    alone = sum(None in pair for pair in prepared.eyes.values())
    if alone:
        say(f"{alone} of {len(ids)} patients are judged by one eye alone")
    logits = model.predict(visits, [prepared.eyes[name] for name in ids], evidence=False).visit_logits
    probability = bundle.calibration.apply(logits)
    if order.map_thresholds:
        probability = map_to_half(probability, bundle.threshold_values())
    write_predictions(order.out, ids, probability, bundle.vocabulary.codes)
    return len(ids)


def _photographs(folder: Path) -> dict[str, dict[str, Path]]:
    """Patient to side to file. Raises `DataError` for no folder, no photographs, or one eye with two files."""
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; --images takes the folder that holds <ID>_left.jpg and <ID>_right.jpg")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        match = NAME.match(path.name)
        if match is None or path.name.startswith("."):
            continue
        sides = found.setdefault(match["id"], {})
        side = match["side"].lower()
        if side in sides:
            raise DataError(f"{folder} has two files for one eye: {sides[side].name} and {path.name}; keep one")
        sides[side] = path
    if not found:
        raise DataError(f"no <ID>_left.jpg or <ID>_right.jpg in {folder}")
    return found


def _visit(name: str, files: dict[str, Path], blank: tuple[None, ...]) -> Visit:
    left, right = (Eye(side, files[side].name, files[side], blank) if side in files else None for side in SIDES)
    return Visit(name, name, (left, right), blank)


def _template_ids(path: Path) -> list[str]:
    """IDs in the template's order: the column ID, else the first. Raises `DataError` for a repeated one."""
    table = read_table(path)
    column = table.header.index("ID") if "ID" in table.header else 0
    ids = [plain_number(cells[column]) for _, cells in table.rows]
    repeated = next((name for here, name in enumerate(ids) if name in ids[:here]), None)
    if repeated is not None:
        raise DataError(f"{path} names patient {repeated} twice; keep one row each")
    return ids


def _natural(name: str) -> tuple[int, int, str]:
    """Whole numbers in their order, before anything else."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
