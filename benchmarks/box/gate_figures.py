"""What the gate of the package does to photographs and to what is none, in counts with intervals."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.box import gate_fresh, gate_negatives
from benchmarks.box.gate_views import PREPROCESSING, Photographs, Pixels, made, prepared, tvhl
from eyeground.images import fundus_check, laterality
from eyeground.images.cache import CacheEntry
from eyeground.images.laterality import against_places
from eyeground.metrics.proportions import clopper_pearson, share_interval, wilson
from eyeground.readings import EyeReading
from eyeground.records import Side
from eyeground.runs.gate import pass_gate

SEED = 99
DRAWN, FRAMES = 20, 10
"""Pictures of each named kind, and of uniform and black frames."""
LGG_EVERY, TARGET_EVERY = 4, 3
"""One in so many of the MRI slices was taken, as when the rules were chosen."""
PAIRS = 40
"""Pairs whose way through the gate is timed."""


def untouched(folder: Path | None) -> dict[str, Any]:
    """What is refused of kinds that took no part in choosing (`gate_fresh`), and which pictures are not.

    Args:
        folder: pictures, among them some that are no fundus photographs; None leaves these rows out.
    """
    return {
        "negatives": [_refused(kind, views, None, names) for kind, names, views in gate_fresh.kinds(folder)],
        "fundus": _refused("fundus photographs among them", gate_fresh.fundus(folder)),
    }


def refusals(photographs: Photographs, data: Path, cache: Path) -> dict[str, Any]:
    """What the check of `images/fundus_check.py` refuses, of photographs and of negatives seen while choosing.

    Args:
        photographs: ODIR-5K's, with the split's parts.
        data: holds `tvhl`, `idrid` and `brain`.
        cache: of prepared views.
    """
    other = tvhl(data / "tvhl", cache)
    idrid = prepared(sorted((data / "idrid").glob("*/1. Original Images/**/*.jpg")), cache)[1]
    parts = {part: photographs.part(part) for part in ("val", "test")}
    true = [_refused(f"ODIR-5K, {part}", map(_load, rows.entries), rows.patients) for part, rows in parts.items()]
    true.append(_refused("TVHL, other cameras", map(_load, other.entries), other.patients))
    true.append(_refused("IDRiD", map(_load, idrid)))
    return {
        "record": fundus_check.fitted().origin,
        "photographs": true,
        "seen_negatives": list(_seen(data, cache)),
    }


def _load(entry: CacheEntry) -> Pixels:
    return entry.load()


def _share(hit: ArrayLike, patients: Sequence[str] | None = None) -> dict[str, Any]:
    """Count, share, Wilson's interval (patients' photographs as many as they are worth) and the exact one."""
    hits = np.asarray(hit, bool)
    count, n = int(hits.sum()), len(hits)
    interval = wilson(count, n) if patients is None else share_interval(hits, patients)
    return {"n": n, "hits": count, "share": count / n if n else None, "wilson": interval,
            "exact": clopper_pearson(count, n)}  # fmt: skip


def _refused(
    kind: str, views: Any, patients: Sequence[str] | None = None, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """How many of the views are refused; with `names`, which are not."""
    check = fundus_check.fitted()
    hits = [not check.judge(view).fundus for view in views]
    row = {"kind": kind, **_share(hits, patients)}
    if names is not None:
        row["passed"] = [name for name, hit in zip(names, hits, strict=True) if not hit]
    return row


def _seen(data: Path, cache: Path) -> Any:
    """Rows of the negatives that were looked at while rules and limits were chosen."""
    lgg = [path for path in sorted((data / "brain" / "lgg").rglob("*.tif")) if "mask" not in path.name]
    target = sorted(path for part in ("Training", "Testing") for path in (data / "brain/target" / part).rglob("*.jpg"))
    for kind, paths in (
        ("OCT scans (TVHL)", sorted((data / "tvhl" / "OCT").glob("*.jpg"))),
        (f"brain MRI, low grade gliomas, one slice in {LGG_EVERY}", lgg[::LGG_EVERY]),
        (f"brain MRI, tumours, one slice in {TARGET_EVERY}", target[::TARGET_EVERY]),
    ):
        yield _refused(kind, map(_load, prepared(paths, cache)[1]))
    rng = np.random.default_rng(SEED)
    for kind, draw in gate_negatives.KINDS.items():
        count = FRAMES if "frame" in kind else DRAWN
        yield _refused(kind, [made(draw(rng)) for _ in range(count)])


def _scores(photographs: Photographs) -> NDArray[np.float64]:
    model = laterality.fitted()
    return np.array([model.score(entry.load()) for entry in photographs.entries])


def sides(photographs: Photographs, data: Path, cache: Path) -> dict[str, Any]:
    """How often `images/laterality.py` is right, and what is warned of."""
    model = laterality.fitted()
    rows, pairs = [], []
    every = {f"ODIR-5K, {part}": photographs.part(part) for part in ("val", "test")}
    for name, chosen in {**every, "TVHL": tvhl(data / "tvhl", cache)}.items():
        scores = _scores(chosen)
        correct = (scores > 0) == chosen.right
        sure = np.abs(scores) > model.cuts.answer
        who = chosen.patients
        rows.append({
            "kind": name, **_share(correct, who), "sure": _share(sure, who),
            "right_where_sure": _share(correct[sure], [w for w, s in zip(who, sure, strict=True) if s]),
            "one_eye_warned": _share([_told(model, s, r) for s, r in zip(scores, chosen.right, strict=True)], who),
        })  # fmt: skip
        if name != "TVHL":
            pairs.append({"kind": name, **_pairs(model, chosen, scores)})
    return {"record": model.origin, "photographs": rows, "pairs": pairs}


def _told(model: laterality.Laterality, score: float, right: bool) -> bool:
    """Whether a photograph given alone, for the eye it shows, is warned of."""
    return against_places(model, {"right" if right else "left": float(score)}) is not None


def _pairs(
    model: laterality.Laterality, photographs: Photographs, scores: NDArray[np.float64]
) -> dict[str, dict[str, Any]]:
    """Warnings of any kind about pairs given correctly, exchanged, and with the right eye's photograph for both."""
    eyes: dict[str, dict[Side, float]] = {}
    for who, right, score in zip(photographs.patients, photographs.right, scores, strict=True):
        eyes.setdefault(who, {})["right" if right else "left"] = float(score)
    whole = [pair for pair in eyes.values() if len(pair) == 2]

    def warned(turn: Callable[[dict[Side, float]], dict[Side, float]], word: str = "") -> dict[str, Any]:
        told = [against_places(model, turn(pair)) for pair in whole]
        return _share([text is not None and word in text for text in told])

    return {
        "correct_warned": warned(lambda pair: pair),
        "correct_called_exchanged": warned(lambda pair: pair, "exchanged"),
        "exchanged_found": warned(lambda pair: {"left": pair["right"], "right": pair["left"]}, "exchanged"),
        "both_right_warned": warned(lambda pair: {"left": pair["right"], "right": pair["right"]}),
    }


def times(photographs: Photographs) -> dict[str, float]:
    """Milliseconds of the processor, medians on one thread: of each part for one view, of the whole gate per eye."""
    check, model = fundus_check.fitted(), laterality.fitted()
    entries = photographs.entries[: 2 * PAIRS]
    spans: dict[str, list[float]] = {"fundus_check": [], "laterality": [], "gate_per_eye": []}
    for entry in entries:
        view = entry.load()
        for name, ask in (("fundus_check", check.judge), ("laterality", model.score)):
            start = time.process_time()
            ask(view)
            spans[name].append(1000 * (time.process_time() - start))
    for left, right in zip(entries[::2], entries[1::2], strict=True):
        eyes = [EyeReading("left", "read"), EyeReading("right", "read")]
        start = time.process_time()
        pass_gate([left, right], eyes, PREPROCESSING, check=False)
        spans["gate_per_eye"].append(500 * (time.process_time() - start))
    return {f"{name}_ms": round(float(np.median(values)), 2) for name, values in spans.items()}
