"""Many visits, read: a table of pairs in, a folder of readings and one table in the same order out.

    OUT/readings.csv             one row per visit, written once all have a status
    OUT/000002-NAME/             reading.json of row 2, with `reports` also report.html and heatmaps/
    OUT/journal.jsonl            what is finished, so that a run that was killed goes on where it was

Worker processes read one visit each and keep nothing, so memory does not grow with the table. What goes wrong with a
visit becomes its row's reason and stops nothing.
"""

from __future__ import annotations

import csv
import math
import multiprocessing
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from eyeground import __version__
from eyeground.errors import DataError
from eyeground.files import aside, folder_aside, write_json
from eyeground.progress import Track, cores, quiet
from eyeground.readings import Reading
from eyeground.records import SIDES
from eyeground.runs.bundle import Bundle, load_bundle
from eyeground.runs.crew import Crew, Lost
from eyeground.runs.engine import Engine, Reader, bundle_folder, open_model
from eyeground.runs.journal import Journal
from eyeground.runs.read import Request, Result, read_visit, save
from eyeground.runs.read_pairs import PairRow

TABLE = "readings.csv"
STATUSES = ("read", "one_eye", "refused", "failed")
"""Both eyes were read; one was; none could be, by what is wrong with the visit; none, by what went wrong here."""
VISIT_FOLDER = re.compile(r"\d{6,}(-.*)?")
LEFT_OVER = re.compile(r"\.(\d{6,}.*|readings\.csv)\.\w{8}")
"""What a kill leaves: files and folders that were being written aside."""


@dataclass(frozen=True)
class Plan:
    """What a bulk reading is to do.

    `bundle` None is the model in the box; `workers` 0 takes one process for each processor core that is free to use.
    """

    bundle: Path | None
    out: Path
    reports: bool = False
    workers: int = 0
    fresh: bool = False
    engine: Engine = "auto"
    fundus_check: bool = True


@dataclass
class Tally:
    """How a bulk reading ended: visits by status, how many of them an earlier call had finished, some reasons.

    `peak` is the largest resident memory of a worker process, in bytes; 0 where nothing was read or no system tells.
    """

    counts: Counter[str] = field(default_factory=Counter)
    earlier: int = 0
    reasons: list[str] = field(default_factory=list)
    peak: int = 0


def read_table(rows: Sequence[PairRow], plan: Plan, track: Track = quiet) -> Tally:
    """Reads the visits and writes their table; called again, it goes on where it was.

    Raises:
        UsageError: no model in the box.
        BundleError: the model can't be used.
        DataError: `out` holds something else or the readings of another model, other settings or other photographs,
            which the message names; another process is reading into it; no space or permission.
    """
    bundle = load_bundle(bundle_folder(plan.bundle))
    check_folder(plan.out)
    kind = plan.engine if plan.engine != "auto" else "onnx" if bundle.has_graph else "torch"
    settings: dict[str, Any] = {"bundle_digest": bundle.digest, "eyeground_version": __version__, "engine": kind}
    settings |= {"reports": plan.reports, "fundus_check": plan.fundus_check}
    with Journal(plan.out, settings) as journal:
        if plan.fresh:
            _clear(plan.out, journal)
        finished = _finished(rows, plan, journal)
        _sweep(plan.out, LEFT_OVER)
        journal.begin()
        tally = Tally(earlier=len(finished))
        waiting = [row for row in rows if row.row not in finished]
        crew = Crew(partial(_start, plan), min(plan.workers or cores(), len(waiting)))
        for row, answer in track(crew.run(iter(waiting)), "reading visits", len(waiting)):
            facts, cells, peak = answer if not isinstance(answer, Lost) else (row.facts(), _failed(answer.reason), 0)
            journal.add(row.row, facts, cells)
            tally.peak = max(tally.peak, peak)
        _write(rows, plan.out / TABLE, bundle, journal, tally)
    return tally


def check_folder(out: Path) -> None:
    """Raises `DataError` when `out` is a file, or holds something that is not an earlier bulk reading."""
    if out.is_file():
        raise DataError(f"{out} is a file; --out takes a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "journal.jsonl").is_file():
        raise DataError(f"{out} is not empty and not an earlier reading of a table; choose another --out")


def _finished(rows: Sequence[PairRow], plan: Plan, journal: Journal) -> set[int]:
    """The rows that need not be read again.

    Failed ones are tried again, and so are those with an eye that wasn't read whose files changed since: somebody
    mended them.

    Raises:
        DataError: what is finished rests on other settings, cells or files.
    """
    mend = "run with --fresh to start over, or choose another --out"
    different = journal.differences()
    if different:
        raise DataError(f"{plan.out} holds readings made otherwise: {'; '.join(different)}; {mend}")
    by_row = {row.row: row for row in rows}
    finished = set()
    for number, entry in journal.entries():
        row, cells = by_row.get(number), entry["cells"]
        if row is None:
            raise DataError(f"{plan.out} holds a reading of row {number}, which the table no longer has; {mend}")
        now, then = row.facts(), entry["facts"]
        changed = [name for name, value in then.items() if now[name] != value]
        if cells["status"] == "failed" or (cells["status"] in ("refused", "one_eye") and changed == ["files"]):
            continue
        if changed:
            raise DataError(f"{plan.out} holds another reading of row {number}: {_changes(then, now)}; {mend}")
        if cells["status"] == "refused" or (plan.out / row.folder / "reading.json").is_file():
            finished.add(number)
    return finished


def _changes(then: dict[str, Any], now: dict[str, Any]) -> str:
    """In words, how a visit's facts differ."""
    cells = [name for name in then if name != "files" and then[name] != now[name]]
    files = zip(SIDES, then["files"], now["files"], strict=True)
    words = [f"{name} was '{then[name]}' and is '{now[name]}'" for name in cells]
    return "; ".join([*words, *(f"the {side} photograph's file was changed" for side, a, b in files if a != b)])


def _clear(out: Path, journal: Journal) -> None:
    """Removes an earlier bulk reading, the journal's lines last."""
    _sweep(out, VISIT_FOLDER, "reading.json")
    (out / TABLE).unlink(missing_ok=True)
    journal.forget()


def _sweep(out: Path, names: re.Pattern[str], holding: str = "") -> None:
    """Removes what matches by name (folders only when they hold that file)."""
    for path in out.iterdir():
        if names.fullmatch(path.name):
            if path.is_dir() and (path / holding).exists():
                shutil.rmtree(path, ignore_errors=True)
            elif not path.is_dir():
                path.unlink(missing_ok=True)


def _write(rows: Sequence[PairRow], path: Path, bundle: Bundle, journal: Journal, tally: Tally) -> None:
    """The table of all visits, in their order, and the counts."""
    codes = bundle.vocabulary.codes
    probabilities = [f"p_{code}" for code in codes]
    header = [
        "row",
        "visit",
        "status",
        "reason",
        *probabilities,
        "positive",
        "uncertain",
        "flags",
        "warnings",
        "folder",
    ]
    with aside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, header, restval="", lineterminator="\n")
        table.writeheader()
        for row in rows:
            cells = journal.entry(row.row)["cells"]
            table.writerow({"row": row.row, "visit": row.visit or "", **cells})
            tally.counts[cells["status"]] += 1
            if cells["status"] in ("refused", "failed") and len(tally.reasons) < 5:
                tally.reasons.append(f"row {row.row} {cells['status']}: {cells['reason']}")


Answer = tuple[dict[str, Any], dict[str, Any], int]
"""A visit's facts, its cells in the table, and the worker's peak memory in bytes."""


def _start(plan: Plan) -> Callable[[PairRow], Answer]:
    """In a worker process: the model, ready to read one visit after the other on one core."""
    cv2.setNumThreads(1)
    return partial(_read, open_model(plan.bundle, plan.engine, threads=1), plan)


def _read(model: Reader, plan: Plan, row: PairRow) -> Answer:
    """Reads a visit and writes its folder.

    Raises:
        DataError: no space or permission, which ends the run: it would be the same for every other visit.
    """
    facts = row.facts()
    try:
        try:
            result = _result(model, plan, row)
        except DataError as error:
            return facts, {"status": "refused", "reason": _plain(str(error), row)}, _peak()
        _save(result, plan.out / row.folder, plan.reports)
        cells = _cells(row, result.reading)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 - one visit's surprise must not end the others
        cells = _failed(_plain(f"{type(error).__name__}: {error}", row))
    return facts, cells, _peak()


def _result(model: Reader, plan: Plan, row: PairRow) -> Result:
    """One visit's reading. Raises `DataError` when no eye can be read."""
    left, right = row.paths
    if left is None and right is None:
        raise DataError("no photograph is listed")
    request = Request(left, right, row.age, row.sex, row.visit, plan.fundus_check, files_there=False)
    return read_visit(model, request, draw=plan.reports)


def _save(result: Result, folder: Path, reports: bool) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(0)  # the run was killed; the next one may be at this visit by now
    if reports:
        save(result, folder)
        return
    with folder_aside(folder) as place:
        write_json(place / "reading.json", result.reading.to_dict())


def _cells(row: PairRow, reading: Reading) -> dict[str, Any]:
    """A reading's cells in the table."""
    seen = [eye for eye in reading.eyes if eye.status == "read"]
    unseen = [f"{eye.side}: {eye.reason}" for eye in reading.eyes if eye.status != "read"]
    sure = reading.certainty
    return {
        "status": "read" if len(seen) == 2 else "one_eye",
        "reason": "; ".join(unseen),
        **{f"p_{one.code}": _number(one.probability) for one in reading.findings},
        "positive": " ".join(one.code for one in reading.findings if one.positive),
        "uncertain": "" if sure is None else "yes" if sure.uncertain else "no",
        "flags": " ".join(f"{eye.side}:{flag.code}" for eye in seen for flag in eye.flags),
        "warnings": " ".join(reading.warnings),
        "folder": row.folder,
    }


def _failed(reason: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason}


def _number(value: float) -> str:
    """The shortest text that gives the same number; empty where it is undefined."""
    return "" if math.isnan(value) else repr(float(value))


def _plain(text: str, row: PairRow) -> str:
    """A reason in one line and without the files' names, which may identify a patient."""
    for side, path in zip(SIDES, row.paths, strict=True):
        text = text.replace(str(path), f"the {side} photograph") if path else text
    return " ".join(text.split())


def _peak() -> int:
    """This process' largest resident memory in bytes, 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
