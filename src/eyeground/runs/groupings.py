"""Ways to part visits into groups: from the cohort's table, from the photographs, from a truth sheet, from a file.

A value that nobody knows stays None. A grouping with a single value parts nothing and is left out by name.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eyeground.cohorts.quirks import AGE_FILLER
from eyeground.cohorts.sheet import SEXES
from eyeground.errors import DataError, UsageError
from eyeground.images.cache import CacheEntry
from eyeground.metrics.align import plain_keys
from eyeground.metrics.predictions import ID, Table, plain_number, read_table
from eyeground.metrics.subgroups import SUPPRESS_BELOW, Grouping, Rules, subgroups
from eyeground.records import Visit
from eyeground.vocabulary import Vocabulary

Pair = tuple[CacheEntry | None, CacheEntry | None]

BANDS = (40, 50, 60, 70)
"""Where age bands begin, in years."""

MOST = 20
"""A column with more values than this is no grouping."""

SIZES = 6
"""Groups of picture size at most; the others are pooled."""

AGE, SEX = "Patient Age", "Patient Sex"
"""The challenge's columns."""

OTHER_SIZES = "other sizes"

FLAGS = ("no_field", "too_dark", "too_bright", "blurred", "clipped", "low_resolution")
"""Flags of `images.quality`; a decoder's notes are none."""


@dataclass(frozen=True)
class Asked:
    """What a user wants to know about groups; the fields are flags of `evaluate` and `score`."""

    groups: Path | None = None
    """A table with an ID column and one column for each further way to group the visits, as text (site, ...)."""
    age_bands: tuple[int, ...] = BANDS
    """Ages at which the bands of the results by age begin, after a first band below them."""
    suppress_below: int = SUPPRESS_BELOW
    """Show no number of a label in a group with fewer positive or fewer negative patients; 0 shows all."""
    no_subgroups: bool = False
    """Leave the results by group out."""

    def check(self) -> None:
        """Refuses early what would be refused after minutes. Raises `UsageError` or `DataError`."""
        if self.suppress_below < 0:
            raise UsageError(f"--suppress-below {self.suppress_below}: give 0 (shows all) or more")
        by_age([], self.age_bands, "")
        if self.groups is not None:
            of_file(self.groups, [])

    def judge(self, judged: Judged, groupings: Groupings, ids: Sequence[str]) -> dict[str, Any]:
        """The judgement's `subgroups`, by `groupings` and by those of the file. Raises `DataError` for a bad file."""
        parted = self.with_file(groupings, ids)
        rules = Rules(judged.patients, self.suppress_below)
        found = subgroups(*judged[:4], parted.found, judged.thresholds, rules)
        return {**found, "left_out": list(parted.left_out)}

    def with_file(self, first: Groupings, ids: Sequence[str]) -> Groupings:
        """`first` and those of the file; one of the file takes the place of one with its name. Raises `DataError`."""
        if self.groups is None:
            return first
        second = of_file(self.groups, ids)
        names = {one.name for one in second.found}
        kept = tuple(one for one in first.found if one.name not in names)
        left = tuple(line for line in first.left_out if line.split(":")[0] not in names)
        return Groupings(kept + second.found, left + second.left_out)


class Judged(NamedTuple):
    """What was judged: the first five as `judge` takes them, and patients (n,) or None."""

    truth: ArrayLike
    known: ArrayLike
    probability: ArrayLike
    vocabulary: Vocabulary
    thresholds: ArrayLike | None = None
    patients: ArrayLike | None = None


@dataclass(frozen=True)
class Groupings:
    """Groupings that part the visits; `left_out` says of each of the others why it does not."""

    found: tuple[Grouping, ...]
    left_out: tuple[str, ...] = ()


def of_visits(visits: Sequence[Visit], eyes: Mapping[str, Pair], bands: Sequence[int] = BANDS) -> Groupings:
    """Sex, age, picture quality, both eyes or one, picture size, and the publishers' part.

    Args:
        visits: n.
        eyes: the prepared left and right photograph by visit id, None where it can't be read.
        bands: of ages.

    Raises:
        UsageError: bands that do not rise.
    """
    pairs = [eyes[visit.id] for visit in visits]
    table = "the cohort's table"
    groupings = (
        by_sex([visit.sex for visit in visits], table),
        by_age([visit.age for visit in visits], bands, table),
        by_sharpness([_worst(pair, "sharpness") for pair in pairs]),
        Grouping("flags", "Quality flags", "the photographs", tuple(_flagged(pair) for pair in pairs)),
        Grouping("eyes", "Eyes photographed", "the photographs", tuple(map(_how_many, pairs)), ("both", "one")),
        by_size([_size(pair) for pair in pairs]),
        Grouping("part", "Publishers' part", table, tuple(visit.part for visit in visits)),
    )
    return _parting(groupings)


def of_sheet(path: Path, ids: Sequence[str], bands: Sequence[int] = BANDS) -> Groupings:
    """Sex and age from the challenge's columns of a truth table, where it has them; unreadable ones are unknown.

    Args:
        path: what `read_truth` reads.
        ids: of `read_truth`, in the order wanted.
    """
    table = read_table(path)
    key = ID if ID in table.header else table.header[0]
    rows = dict(zip(_ids(table, key), (cells for _, cells in table.rows), strict=True))
    groupings = []
    if SEX in table.header:
        values = [rows[name][table.column(SEX)] for name in ids]
        groupings.append(by_sex([SEXES.get(value.lower()) for value in values], f"column '{SEX}'"))
    if AGE in table.header:
        values = [rows[name][table.column(AGE)] for name in ids]
        groupings.append(by_age([_age(value) for value in values], bands, f"column '{AGE}'"))
    return _parting(groupings)


def of_file(path: Path, ids: Sequence[str]) -> Groupings:
    """One grouping for each column of a table beside its IDs (`ID`, else the first column); an empty cell is unknown.

    IDs are compared as in `score`: '0007' is 7 unless that is ambiguous. Rows of other visits are passed over.

    Raises:
        DataError: an unreadable table, an ID that is empty or there twice, a visit without a row, no column, a column
            of too many values or of numbers.
    """
    table = read_table(path)
    key = ID if ID in table.header else table.header[0]
    columns = [name for name in table.header if name != key]
    if not columns:
        raise DataError(f"{path} has no column beside '{key}'; add one column for each grouping")
    there = _ids(table, key)
    wanted, listed = plain_keys(ids, there)
    rows = dict(zip(listed, (cells for _, cells in table.rows), strict=False))
    if len(rows) < len(there):
        twice = next(name for name, count in Counter(listed).items() if count > 1)
        raise DataError(f"{path} has ID {twice} twice, spelled differently; keep one row for each ID")
    missing = [name for name, plain in zip(ids, wanted, strict=True) if plain not in rows]
    if missing:
        raise DataError(
            f"{path} has no row for {len(missing)} of {len(ids)} judged IDs, first {missing[0]}; add a row for each "
            "(an empty cell is unknown)"
        )
    found = []
    for name in columns:
        if not name:
            raise DataError(f"{path} has a column without a name; give it one or remove it")
        values = tuple(rows[plain][table.column(name)] or None for plain in wanted)
        _check_column(table, name)
        found.append(Grouping(name, name, path.name, values))
    return _parting(found)


def by_sex(values: Sequence[str | None], source: str) -> Grouping:
    """'F', 'M' or unknown."""
    return Grouping("sex", "Sex", source, tuple(values), ("F", "M"))


def by_age(ages: Sequence[float | None], bands: Sequence[int], source: str) -> Grouping:
    """Ages in bands: below the first, from each up to the next, from the last on.

    Raises:
        UsageError: bands that do not rise, or none.
    """
    edges = list(bands)
    if not edges or edges[0] <= 0 or any(b <= a for a, b in itertools.pairwise(edges)):
        raise UsageError(f"--age-bands {' '.join(map(str, edges))}: give ages above 0 that rise, such as 40 50 60 70")
    names = [f"<{edges[0]}"]
    names += [f"{a}-{b - 1}" if b - a > 1 else str(a) for a, b in itertools.pairwise(edges)]
    names.append(f"{edges[-1]}+")
    found = tuple(None if age is None else names[int(np.searchsorted(edges, age, side="right"))] for age in ages)
    return Grouping("age", "Age in years", source, found, tuple(names))


def by_sharpness(values: Sequence[float | None]) -> Grouping:
    """Thirds of these very visits by sharpness; the cuts are in the groups' names. A number counts as its group's."""
    known = np.array([value for value in values if value is not None])
    title = "Sharpness of the less sharp eye, in thirds"
    if not len(known):
        return Grouping("quality", title, "the photographs", (None,) * len(values))
    low, high = (float(cut) for cut in np.quantile(known, [1 / 3, 2 / 3]))
    names = [f"low <{low:.1f}", f"middle {low:.1f}-{high:.1f}", f"high >{high:.1f}"]
    found = tuple(None if value is None else names[0 if value < low else 1 if value <= high else 2] for value in values)
    return Grouping("quality", title, "the photographs", found, tuple(names))


def by_size(values: Sequence[tuple[int, int] | None]) -> Grouping:
    """Pixels of the pictures as they came, a poor man's camera: the commonest sizes, the others pooled."""
    counts = Counter(value for value in values if value is not None)
    ranked = sorted(counts, key=lambda size: (-counts[size], size))
    kept = ranked if len(ranked) <= SIZES else ranked[: SIZES - 1]
    names = {size: f"{size[0]}x{size[1]}" for size in kept}
    found = tuple(None if value is None else names.get(value, OTHER_SIZES) for value in values)
    return Grouping("size", "Picture size in pixels", "the photographs", found, (*names.values(), OTHER_SIZES))


def _parting(groupings: Sequence[Grouping]) -> Groupings:
    """Those with two groups or more, and why not the others."""
    found, left_out = [], []
    for one in groupings:
        groups = one.groups()
        if len(groups) > 1:
            found.append(one)
        elif groups:
            left_out.append(f"{one.name}: all that is known is {groups[0]}")
        else:
            left_out.append(f"{one.name}: nobody knows it")
    return Groupings(tuple(found), tuple(left_out))


def _of_eyes(pair: Pair, what: Callable[[CacheEntry], float | None]) -> list[float]:
    values = [what(eye) for eye in pair if eye is not None]
    return [value for value in values if value is not None and math.isfinite(value)]


def _worst(pair: Pair, number: str) -> float | None:
    """The lower of both eyes' numbers; None where a photograph has none, since the worse eye is then not known."""
    values = _of_eyes(pair, lambda eye: eye.quality.get(number))
    return min(values) if values and len(values) == sum(eye is not None for eye in pair) else None


def _flagged(pair: Pair) -> str | None:
    eyes = [eye for eye in pair if eye is not None and eye.quality]
    if not eyes:
        return None
    return "flagged" if any(flag.code in FLAGS for eye in eyes for flag in eye.flags) else "none"


def _how_many(pair: Pair) -> str:
    return "both" if all(eye is not None for eye in pair) else "one"


def _size(pair: Pair) -> tuple[int, int] | None:
    """The larger of both eyes' pictures."""
    sizes = [(eye.geometry.width, eye.geometry.height) for eye in pair if eye is not None]
    return max(sizes) if sizes else None


def _ids(table: Table, key: str) -> list[str]:
    """The IDs as text. Raises `DataError` for one that is empty or there twice."""
    seen: dict[str, int] = {}
    for number, cells in table.rows:
        name = plain_number(cells[table.column(key)])
        if not name:
            raise DataError(f"{table.path}, row {number} has no {key}; give it one or remove the row")
        if name in seen:
            raise DataError(f"{table.path}, row {number} repeats {key} {name} of row {seen[name]}; keep one of them")
        seen[name] = number
    return list(seen)


def _age(text: str) -> float | None:
    """Years; None for what is no age, among it the challenge's placeholder."""
    try:
        age = float(text)
    except ValueError:
        return None
    return age if 0 <= age <= 120 and age != AGE_FILLER else None


def _check_column(table: Table, name: str) -> None:
    """Raises `DataError` for a column that does not part visits into a few groups."""
    values = sorted({cells[table.column(name)] for _, cells in table.rows} - {""})
    numbers = [_number(value) for value in values]
    numeric = bool(values) and all(number is not None for number in numbers)
    if numeric and (len(values) > MOST or any(number != int(number) for number in numbers if number is not None)):
        raise DataError(
            f"{table.path}, column '{name}' holds numbers ({len(values)} values, such as {values[0]}); "
            "make a few bands of them, such as 'low' and 'high'"
        )
    if len(values) > MOST:
        raise DataError(
            f"{table.path}, column '{name}' has {len(values)} different values, at most {MOST} are groups; "
            "pool them or remove the column"
        )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
