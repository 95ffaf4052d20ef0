"""One visit, read: two photographs in, a `Reading` with its pictures and evidence out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeground import __version__
from eyeground.errors import DataError, ImageError
from eyeground.explain.paint import blend, paint, png, smooth
from eyeground.files import folder_aside, write_json
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.prepare import Preprocessing, prepare
from eyeground.readings import Answer, Certainty, EyeReading, Finding, ModelRecord, Reading
from eyeground.records import SIDES, Eye, Side, Visit
from eyeground.report import page
from eyeground.runs.engine import Reader
from eyeground.runs.gate import pass_gate
from eyeground.runs.predictions import Predictions

PICTURE = 512
"""Side in pixels of the pictures in the report and under the heatmaps."""
OPACITY = 0.75
"""Strength of the heatmaps drawn over the photograph in `heatmaps/`."""
GONE = "the file is not there"
"""Why an eye was not read."""


@dataclass(frozen=True)
class Request:
    """What is to be read. A path of None is an eye that was not photographed."""

    left: Path | None
    right: Path | None
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    visit: str | None = None
    fundus_check: bool = True
    """Whether a photograph that does not look like a fundus is refused; else it is read, with a warning."""
    files_there: bool = True
    """Whether a file that is not there is refused; else it is an eye that can't be read."""


@dataclass(frozen=True)
class Result:
    """A reading; by side the picture uint8 (S, S, 3) and the evidence float32 (C, h, w) of each eye that was read."""

    reading: Reading
    pictures: dict[Side, NDArray[np.uint8] | None]
    evidence: dict[Side, NDArray[np.float32] | None]


def read_visit(model: Reader, request: Request, draw: bool = True) -> Result:
    """Reads one visit; an eye that can't be read is said to be so, and the other one is read alone.

    Without `draw` there are no pictures, whose decoding takes longer than the view's, and no names of heatmaps: for
    readings that are kept as JSON alone.

    Raises:
        DataError: no eye is left.
    """
    if request.left is None and request.right is None:
        raise DataError("both eyes are '-': give at least one photograph")
    pair, eyes, warnings = _eyes(request, model.bundle.preprocessing)
    if model.bundle.stamp:
        warnings.insert(0, f"The model was trained under a leaky protocol. {model.bundle.stamp}.")
    blank: tuple[None, ...] = (None,) * len(model.bundle.vocabulary)
    listed = [Eye(side, "", None, blank) if entry else None for side, entry in zip(SIDES, pair, strict=True)]
    visit = Visit("visit", "visit", (listed[0], listed[1]), blank, request.age, request.sex)
    found = model.predict([visit], [(pair[0], pair[1])], evidence=True)
    calibration = model.bundle.calibration
    probability = calibration.apply(found.visit_logits)[0]
    of_eyes = None if found.eye_logits is None else calibration.apply(found.eye_logits)[0]
    findings = _findings(model, found.visit_logits[0], probability, of_eyes)
    eyes = [_with_maps(eye, row, found, model.bundle.vocabulary.codes, draw) for row, eye in enumerate(eyes)]
    reading = Reading(
        eyeground_version=__version__,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        model=_record(model),
        findings=findings,
        eyes=(eyes[0], eyes[1]),
        map_note=model.map_note,
        evidence_scale=model.bundle.evidence_scale or 1.0,
        age=request.age,
        sex=request.sex,
        visit=request.visit,
        warnings=tuple(warnings),
        certainty=_certainty(model, findings, eyes),
    )
    if found.evidence is not None and found.placement.why:
        why = f"Where the maps sit within an element can't be established: {found.placement.why}."
        reading = replace(reading, warnings=(*reading.warnings, why))
    view = replace(model.bundle.preprocessing, size=PICTURE, enhance=())
    pictures: dict[Side, NDArray[np.uint8] | None] = {}
    evidence: dict[Side, NDArray[np.float32] | None] = {}
    for row, side in enumerate(SIDES):
        entry = pair[row]
        pictures[side] = prepare(entry.path, view).view.pixels if entry and draw else None
        evidence[side] = found.evidence[0, row] if entry and found.evidence is not None else None
    return Result(reading, pictures, evidence)


def save(result: Result, folder: Path) -> None:
    """Writes reading.json, report.html and heatmaps/*.png; the folder appears whole or not at all.

    Raises:
        DataError: no space or permission, or `folder` is there and is not an earlier reading.
    """
    check_out(folder)
    scale = result.reading.evidence_scale
    with folder_aside(folder) as place:
        write_json(place / "reading.json", result.reading.to_dict())
        html = page.render(result.reading, result.pictures, result.evidence, PICTURE)
        (place / "report.html").write_text(html, encoding="utf-8")
        (place / "heatmaps").mkdir()
        codes = [finding.code for finding in result.reading.findings]

        def draw(task: tuple[EyeReading, str, str]) -> None:
            eye, code, name = task
            picture, maps = result.pictures[eye.side], result.evidence[eye.side]
            assert picture is not None and maps is not None
            height, width = picture.shape[:2]
            placed = smooth(maps[codes.index(code)], height, width, eye.map_shift or (0.0, 0.0))
            (place / name).write_bytes(png(blend(picture, paint(placed, scale), OPACITY)))

        tasks = [(eye, code, name) for eye in result.reading.eyes for code, name in eye.heatmaps.items()]
        with ThreadPoolExecutor() as pool:  # encoding leaves Python's lock
            list(pool.map(draw, tasks))


def check_out(folder: Path) -> None:
    """Raises `DataError` when `folder` is a file, or holds something that is not an earlier reading."""
    if folder.is_file():
        raise DataError(f"{folder} is a file; --out takes a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "reading.json").is_file():
        raise DataError(f"{folder} is not empty and not an earlier reading; choose another --out")


def _eyes(
    request: Request, preprocessing: Preprocessing
) -> tuple[list[CacheEntry | None], list[EyeReading], list[str]]:
    """Prepares both eyes: the entries, what the reading says of each, and warnings about the visit."""
    pair: list[CacheEntry | None] = []
    eyes: list[EyeReading] = []
    reasons: list[str] = []
    for side, path in zip(SIDES, (request.left, request.right), strict=True):
        gone = path is not None and _is_gone(path)
        if gone and request.files_there:
            raise DataError(f"no file {path}; check the {side} eye's path, or give '-' where there is no photograph")
        if path is None:
            pair.append(None)
            eyes.append(EyeReading(side, "missing", "no photograph was given"))
            continue
        result = prepare_all([path], preprocessing, None, 1)[0]
        if isinstance(result, ImageError):
            reasons.append(f"{path} is not there" if gone else str(result))
            pair.append(None)
            eyes.append(EyeReading(side, "unreadable", GONE if gone else _without_path(str(result), path)))
        else:
            pair.append(result)
            place = result.geometry
            crop = place.to_dict()
            eyes.append(
                EyeReading(side, "read", None, place.width, place.height, crop, result.quality, tuple(result.flags))
            )
    if pair == [None, None]:
        raise DataError(f"no eye can be read: {'; '.join(reasons)}")
    passed = pass_gate(pair, eyes, preprocessing, request.fundus_check)
    return passed.pair, passed.eyes, passed.warnings


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # decoding tells what is wrong
        return False
    return False


def _without_path(text: str, path: Path) -> str:
    """The reason without the file's name, which may identify a patient."""
    return text.replace(str(path), "the photograph")


def _findings(
    model: Reader,
    logits: NDArray[np.float32],
    probability: NDArray[np.float64],
    of_eyes: NDArray[np.float64] | None,
) -> tuple[Finding, ...]:
    thresholds = model.bundle.thresholds
    findings = []
    for index, (label, row) in enumerate(zip(model.bundle.vocabulary.labels, thresholds["labels"], strict=True)):
        chosen_on = row.get("chosen_on", thresholds["chosen_on"])
        source = f"{row['reason']} (split {chosen_on['split_hash'][:12]}, {row['n_pos']} of {row['n']} visits positive)"
        left, right = (None, None) if of_eyes is None else (_number(of_eyes[0, index]), _number(of_eyes[1, index]))
        value = float(probability[index])
        positive = value > row["value"]
        answers = None if model.bundle.conformal is None else model.bundle.conformal.cuts[index].answers(logits[index])
        uncertain = _uncertain(answers, positive)
        eyes = (left, right)
        findings.append(
            Finding(
                label.code, label.name, value, row["value"], source, positive, eyes, label.visit, answers, uncertain
            )
        )
    return tuple(findings)


def _uncertain(answers: tuple[Answer, ...] | None, positive: bool) -> bool | None:
    """Whether the label set is anything but the answer that the threshold gives; None without a set."""
    return None if answers is None else answers != ("present" if positive else "absent",)


def _certainty(model: Reader, findings: tuple[Finding, ...], eyes: list[EyeReading]) -> Certainty | None:
    """The visit is uncertain when a label is, or when every photograph that was read has a quality flag."""
    sets = model.bundle.conformal
    if sets is None:
        return None
    both = [one.name for one in findings if one.label_set is not None and len(one.label_set) == 2]
    against = [one.name for one in findings if one.uncertain and one.name not in both]
    reasons = []
    if both:
        reasons.append(f"Neither answer can be ruled out at {100 * (1 - sets.alpha):g} % for {', '.join(both)}.")
    if against:
        reasons.append(f"Threshold and label set contradict each other for {', '.join(against)}.")
    if all(eye.flags for eye in eyes if eye.status == "read"):
        reasons.append("Every photograph that was read has a quality flag.")
    note = sets.note
    without = [one.name for one in findings if one.label_set is None]
    if without:
        note += f"; no label sets for {', '.join(without)}: too few patients to choose them on"
    return Certainty(1 - sets.alpha, bool(reasons), tuple(reasons), note)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _with_maps(eye: EyeReading, row: int, found: Predictions, codes: Sequence[str], draw: bool) -> EyeReading:
    """The eye with its heatmaps' names (where they are drawn), where they sit and their highest values."""
    if eye.status != "read" or found.evidence is None:
        return eye
    shift = None if found.placement.why else found.shift(row)
    highest = (float(value) for value in found.evidence[0, row].max((1, 2)))
    names = {code: f"heatmaps/{eye.side}_{code}.png" for code in codes} if draw else {}
    return replace(eye, heatmaps=names, evidence_peak=dict(zip(codes, highest, strict=True)), map_shift=shift)


def _record(model: Reader) -> ModelRecord:
    config, calibration = model.bundle.config, model.bundle.calibration
    data, fitted_on = config["data"], model.bundle.fitted_on
    return ModelRecord(
        method=config["method"]["name"],
        trunk=config["method"].get("trunk", ""),
        version=str(data.get("eyeground_version", __version__)),
        bundle_digest=model.bundle.digest,
        trained_on=f"{data['train_visits']} visits of a cohort in the {data['layout']} layout",
        split_hash=data["split_hash"],
        calibration=f"{calibration.words}, fitted on {fitted_on['n']} validation visits",
    )
