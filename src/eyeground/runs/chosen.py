"""Photographs that chose something of a bundle after its training, and so must not judge it.

`calibrate` and `operating-point` may use the validation part of another split or cohort than the bundle's own. Those
photographs are not in the bundle's split.json; chosen_on.json holds their fingerprints, so that the leak audit of every
later judgement knows them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eyeground.errors import BundleError
from eyeground.leaks import Fingerprint
from eyeground.runs.bundle import CHOSEN_ON, Bundle
from eyeground.splits import Split


@dataclass(frozen=True)
class Chosen:
    """Photographs of one validation part: the cohort's layout, the split, the command they served, the fingerprints."""

    layout: str
    split_hash: str
    by: str
    fingerprints: tuple[Fingerprint, ...]

    def to_dict(self) -> dict[str, Any]:
        rows = [one.to_row() for one in self.fingerprints]
        return {"layout": self.layout, "split_hash": self.split_hash, "by": self.by, "fingerprints": rows}


def chosen_on(bundle: Bundle) -> tuple[Chosen, ...]:
    """What the bundle tells; nothing for one that was chosen on its own validation part alone.

    Raises:
        BundleError: the file can't be understood.
    """
    path = bundle.folder / CHOSEN_ON
    if not path.is_file():
        return ()
    try:
        return tuple(
            Chosen(row["layout"], row["split_hash"], row["by"], tuple(Fingerprint(*one) for one in row["fingerprints"]))
            for row in json.loads(path.read_text(encoding="utf-8"))["used"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} can't be used: {error}; copy the whole folder again") from error


def chosen_table(
    bundle: Bundle, layout: str, split_hash: str, by: str, prints: Sequence[Fingerprint]
) -> dict[str, Any]:
    """Tables for `bundle.rewrite`: chosen_on.json with these photographs added, or none when nothing is to be told.

    Photographs of the bundle's own training and validation parts are left out: split.json has them.
    """
    own = Split.load(bundle.split)
    parts = own.fold(int(bundle.config["data"]["fold"]))
    known = {one.sha256 for one in own.fingerprints_of(parts.train + parts.val)}
    new = tuple(one for one in prints if one.sha256 not in known)
    used = chosen_on(bundle)
    if new:
        used = (*used, Chosen(layout, split_hash, by, new))
    return {CHOSEN_ON: {"used": [one.to_dict() for one in used]}} if used else {}
