"""Other cameras, other graders: a bundle's D, N and oedema against IDRiD and TVHL, at the full read path and beside it.

    python -m benchmarks.box.outside --bundle FOLDER [--data ../shared/data] [--pages]

The bundle was trained on 256-pixel copies of ODIR-5K; these are photographs of other clinics as their publishers give
them. `as read` is what `eyeground read` sees. The other variants (`VARIANTS`) change those views on the way, to find
out what of the copies is missed: `copy` makes each photograph like ODIR's first. Intervals are over patients
(duplicates count as one); differences from `as read` are paired. Nothing here is fitted on these cohorts.
`docs/outside.md` has the tables (`--pages`).
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.box.outside_page import write_page
from eyeground.cohorts import read_cohort
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.decode import Decoded, decode_bytes, read_bytes
from eyeground.images.field import find_field
from eyeground.images.prepare import Preprocessing, crop
from eyeground.metrics.auc_interval import auc_interval, difference_interval
from eyeground.metrics.delong import areas
from eyeground.metrics.patient_means import patient_mean
from eyeground.metrics.proportions import share_interval
from eyeground.records import Cohort, Visit
from eyeground.runs.engine import Reader, open_model
from eyeground.runs.place import cache_folder

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Entries = tuple[CacheEntry | None, CacheEntry | None]

COPY_SIDE, COPY_QUALITY = 256, 75
"""ODIR's copies: side in pixels, and the JPEG quality that their quantisation tables are those of (4:2:0)."""
AT_ONCE = 16
COHORTS = {"idrid": "idrid", "tvhl": "tvhl"}
"""Layout to folder below --data."""
TARGETS = {
    "idrid": (("D", "any_dr"), ("D", "referable_dr"), ("D", "severe_dr"), ("D", "dme"), ("not N", "any_dr")),
    "tvhl": (("D", "any_dr"), ("D", "proliferative_dr"), ("D", "dme"), ("not N", "any_dr")),
}
"""What is held against what: a label of the model (`not N` is 1 less Normal) and an endpoint of the publishers."""


def copied(path: Path, preprocessing: Preprocessing, quality: int = COPY_QUALITY) -> Pixels:
    """The view of a photograph made like ODIR's copies: its lit rectangle squashed to a square, and JPEG."""
    decoded = decode_bytes(read_bytes(path), 2 * COPY_SIDE, path)
    found, pixels = find_field(decoded.pixels), decoded.pixels
    if found.found:
        down, across = (slice(round(a), round(a + b)) for a, b in ((found.y, found.height), (found.x, found.width)))
        pixels = pixels[down, across]
    small = jpeg(np.asarray(cv2.resize(pixels, (COPY_SIDE,) * 2, interpolation=cv2.INTER_AREA), np.uint8), quality)
    return crop(Decoded(small, COPY_SIDE, COPY_SIDE, 1, ()), find_field(small), preprocessing).pixels


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Through JPEG and back; a quality of 0 leaves the pixels as they are."""
    if quality == 0:
        return pixels
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB), np.uint8)


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8)


VARIANTS: dict[str, Callable[[CacheEntry, Preprocessing], Pixels]] = {
    "copy": lambda entry, how: copied(entry.path, how),
    "squashed": lambda entry, how: copied(entry.path, how, 0),
    "JPEG": lambda entry, how: jpeg(entry.load(), COPY_QUALITY),
    "blur 0.5": lambda entry, how: blurred(entry.load(), 0.5),
    "blur 1": lambda entry, how: blurred(entry.load(), 1.0),
}
"""Beside `as read`; sigma in pixels of the view."""


WIDE_FROM = 1940
"""TVHL's patients from this number on were mostly photographed with wide-field cameras. The number was set after an
earlier network's misses were seen, so what is parted by it is exploratory."""


@dataclass(frozen=True)
class Answers:
    """Probabilities (n, C) of n visits, their labels (n, endpoints; nan where unknown), people, and grades."""

    probability: Array
    truth: Array
    people: NDArray[np.str_]
    grades: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.box.outside", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="default: the model in the box")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with idrid/ and tvhl/")
    parser.add_argument("--only", nargs="*", choices=tuple(VARIANTS), help="these variants beside 'as read'")
    parser.add_argument("--pages", action="store_true", help="write the tables into docs/outside.md from the record")
    given = parser.parse_args(argv)
    if given.pages and given.bundle is None and (record.RESULTS / "box_outside.json").is_file():
        write_page(record.RESULTS / "box_outside.json")
        return
    reader = open_model(given.bundle)
    names = tuple(VARIANTS) if given.only is None else tuple(given.only)
    figures = run(reader, given.data, names)
    path = record.write("box_outside", figures)
    write_page(path)
    print(f"recorded in {path}")


def run(reader: Reader, data: Path, variants: Sequence[str]) -> dict[str, Any]:
    """All cohorts and variants; prints as it goes. JSON-able."""
    found: dict[str, Any] = {"bundle": reader.bundle.digest, "preprocessing": reader.bundle.preprocessing.to_dict()}
    found["cohorts"] = {}
    for layout, folder in COHORTS.items():
        cohort = read_cohort(layout, data / folder)
        visits, entries, unreadable = prepared(cohort, reader.bundle.preprocessing)
        people = one_person(visits, data / folder)
        rows: dict[str, Any] = {}
        as_read = None
        for name in ("as read", *variants):
            answers = answer(reader, cohort, visits, changed(entries, name, reader.bundle.preprocessing), people)
            rows[name] = judged(reader, cohort, layout, answers, as_read)
            as_read = as_read or answers
            if name == "as read" and layout == "tvhl":
                rows[name]["fields"] = by_field(reader, cohort, visits, answers)
            show(layout, name, rows[name])
        seen = [sum(entry is not None for entry in pair) for pair in entries]
        counts = {"visits": len(visits), "photographs": sum(seen), "one_eyed": seen.count(1), "unreadable": unreadable}
        found["cohorts"][layout] = {**counts, "patients": len(set(people)), "variants": rows}
    return found


def prepared(cohort: Cohort, preprocessing: Preprocessing) -> tuple[list[Visit], list[Entries], int]:
    """The visits with a readable photograph, their eyes (left, right), and how many files could not be read."""
    there = cohort.with_images()
    paths = [[eye.path if eye is not None else None for eye in visit.eyes] for visit in there]
    every = [path for pair in paths for path in pair if path is not None]
    made = dict(zip(every, prepare_all(every, preprocessing, cache_folder()), strict=True))
    entries = {path: one for path, one in made.items() if isinstance(one, CacheEntry)}
    found = [(v, (entries.get(a or Path()), entries.get(b or Path()))) for v, (a, b) in zip(there, paths, strict=True)]
    kept = [(visit, pair) for visit, pair in found if any(pair)]
    return [visit for visit, _ in kept], [pair for _, pair in kept], len(made) - len(entries)


def changed(entries: Sequence[Entries], name: str, preprocessing: Preprocessing) -> list[Entries]:
    """The eyes as a variant shows them."""
    if name == "as read":
        return list(entries)
    make = VARIANTS[name]
    new = [
        [entry and replace(entry, view=None, pixels=make(entry, preprocessing)) for entry in pair] for pair in entries
    ]
    return [(left, right) for left, right in new]


def one_person(visits: Sequence[Visit], root: Path) -> NDArray[np.str_]:
    """(n,) whose each visit is; those that `duplicates.csv` of the cohort joins are one person."""
    person = {visit.patient: visit.patient for visit in visits}
    for path in sorted(root.rglob("duplicates.csv")):
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                if "dup_group" in row:
                    mine, first = f"train/{row['id']}", f"train/{row['dup_group']}"
                elif row["modality"] == "fundus":
                    mine, first = row["patient_id"], f"group {row['neardup_group']}"
                else:
                    continue
                joined, kept = person.get(mine, mine), person.setdefault(first, person.get(mine, mine))
                person = {name: kept if one == joined else one for name, one in person.items()}
    return np.array([person[visit.patient] for visit in visits])


def answer(
    reader: Reader, cohort: Cohort, visits: Sequence[Visit], entries: Sequence[Entries], people: NDArray[np.str_]
) -> Answers:
    """Reads the visits; a visit's endpoints are those of the eyes that are there."""
    logits = []
    blank: tuple[None, ...] = (None,) * len(reader.bundle.vocabulary)
    asked = [replace(v, labels=blank, eyes=(_blank(v, 0, blank), _blank(v, 1, blank))) for v in visits]
    for start in range(0, len(visits), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        logits.append(reader.predict(asked[part], entries[part], evidence=False).visit_logits)
    truth = np.array([[np.nan if s is None else s for s in visit.labels] for visit in visits], np.float64)
    scale = "dr" if cohort.layout == "idrid" else "dr_stage"
    told = [[dict(eye.grades).get(scale) for eye in visit.listed()] for visit in visits]
    worst = [max((one for one in each if one is not None), default=None) for each in told]
    grades = tuple("unknown" if one is None else str(one) for one in worst)
    return Answers(reader.bundle.calibration.apply(np.concatenate(logits)), truth, people, grades)


def _blank(visit: Visit, side: int, labels: tuple[None, ...]) -> Any:
    eye = visit.eyes[side]
    return None if eye is None else replace(eye, labels=labels)


def judged(reader: Reader, cohort: Cohort, layout: str, answers: Answers, beside: Answers | None) -> dict[str, Any]:
    """Every target of a cohort, and D by grade."""
    codes, names = reader.bundle.vocabulary.codes, cohort.vocabulary.codes
    cuts = {row["code"]: row["value"] for row in reader.bundle.thresholds["labels"]}
    rows = []
    for label, endpoint in TARGETS[layout]:
        code = label.removeprefix("not ")
        if code not in codes:
            continue
        truth = answers.truth[:, names.index(endpoint)]
        here = ~np.isnan(truth)
        score, cut = _score(answers, codes.index(code), label), cuts[code]
        called = (answers.probability[:, codes.index(code)] > cut) == (label == code)
        row = against(truth[here], score[here], called[here], answers.people[here])
        if beside is not None:
            other = _score(beside, codes.index(code), label)
            both = np.stack([score[here], other[here]])
            row["auc_gain"] = float(row["auc"] - areas(truth[here], other[here], answers.people[here]).auc[0])
            row["auc_gain_interval"] = difference_interval(truth[here], both, answers.people[here])
        rows.append({"label": label, "endpoint": endpoint, "threshold": cut, **row})
    return {"targets": rows, "by_grade": by_grade(answers, codes.index("D"), cuts["D"])}


def _score(answers: Answers, column: int, label: str) -> Array:
    return 1 - answers.probability[:, column] if label.startswith("not ") else answers.probability[:, column]


def against(truth: Array, score: Array, called: NDArray[np.bool_], people: NDArray[np.str_]) -> dict[str, Any]:
    """One score against one endpoint: (n,) each, `called` positive by the bundle's own threshold."""
    positive = truth == 1
    gap = patient_mean(score - truth, people)
    return {
        "n": len(truth),
        "n_pos": int(positive.sum()),
        "patients": len(set(people)),
        "auc": float(areas(truth, score, people).auc[0]),
        "auc_interval": auc_interval(truth, score, people),
        "sensitivity": float(called[positive].mean()),
        "sensitivity_interval": share_interval(called[positive], people[positive]),
        "specificity": float((~called[~positive]).mean()),
        "specificity_interval": share_interval(~called[~positive], people[~positive]),
        "mean_probability": float(score.mean()),
        "prevalence": float(positive.mean()),
        "too_high_by": gap.mean,
        "too_high_by_interval": [gap.low, gap.high],
    }


def by_field(reader: Reader, cohort: Cohort, visits: Sequence[Visit], answers: Answers) -> list[dict[str, Any]]:
    """D against any DR of TVHL's wide-field patients and of all others, see `WIDE_FROM`."""
    column = reader.bundle.vocabulary.codes.index("D")
    score, cut = answers.probability[:, column], reader.bundle.thresholds["labels"][column]["value"]
    truth = answers.truth[:, cohort.vocabulary.codes.index("any_dr")]
    wide = np.array([int(visit.patient) >= WIDE_FROM for visit in visits])
    rows = []
    for name, group in (("wide", wide), ("others", ~wide)):
        here = group & ~np.isnan(truth)
        if len(set(truth[here])) < 2:  # a part of TVHL may be at hand
            print(f"tvhl   {name:9} left out: no visits with and without retinopathy", flush=True)
            continue
        rows.append({"fields": name, **against(truth[here], score[here], score[here] > cut, answers.people[here])})
        print(f"tvhl   {name:9} {rows[-1]['n']} ({rows[-1]['n_pos']})  AUC {rows[-1]['auc']:.3f}", flush=True)
    return rows


def by_grade(answers: Answers, column: int, cut: float) -> list[dict[str, Any]]:
    """D by the worst grade of the visit: how many, the mean probability, the share above the threshold."""
    rows, probability = [], answers.probability[:, column]
    for grade in sorted(set(answers.grades)):
        here = np.array([one == grade for one in answers.grades])
        called, people = probability[here] > cut, answers.people[here]
        mean = patient_mean(probability[here], people)
        share = {"called": float(called.mean()), "called_interval": share_interval(called, people)}
        row = {"grade": grade, "n": int(here.sum()), "mean_probability": mean.mean, **share}
        rows.append({**row, "mean_interval": None if np.isnan(mean.low) else [mean.low, mean.high]})
    return rows


def show(layout: str, name: str, found: Mapping[str, Any]) -> None:
    for row in found["targets"]:
        low, high = row["auc_interval"]
        print(
            f"{layout:6} {name:9} {row['label']:6} {row['endpoint']:17} n {row['n']} pos {row['n_pos']}  "
            f"AUC {row['auc']:.3f} ({low:.3f} to {high:.3f})  sens {row['sensitivity']:.3f}  "
            f"spec {row['specificity']:.3f}  mean {row['mean_probability']:.3f} of {row['prevalence']:.3f}",
            flush=True,
        )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
