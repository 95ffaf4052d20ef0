"""The model card and the reporting checklists of a bundle, filled with what its files and evaluations prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from eyeground import DISCLAIMER, __version__
from eyeground.errors import DataError
from eyeground.files import digest, disk_errors, write_json, write_text
from eyeground.report.card_input import Evaluation, Run, _json, read_run, split_stamps
from eyeground.report.card_tables import Table, subgroup_tables, tables_of
from eyeground.report.checklists import as_data, as_markdown, bullets, load_checklist
from eyeground.report.facts import Fact, safe
from eyeground.report.facts_judged import judged_facts
from eyeground.report.facts_model import model_facts
from eyeground.report.facts_training import training_facts
from eyeground.report.kept import block, sealed, written
from eyeground.report.limits import limit_facts

SCHEMA = "eyeground/card/1"
CHECKLISTS = ("tripod_ai", "claim")


def write_card(folder: Path, evaluations: Sequence[Path], out: Path) -> dict[str, Any]:
    """Writes card.md, tripod_ai.md, claim.md and card.json; the same input gives the same bytes.

    What authors wrote into the files' blocks stays; nothing is written when something of theirs would be lost.

    Returns:
        What card.json holds.

    Raises:
        BundleError, UsageError, DataError: see `card_input.read_run` and `kept.written`.
    """
    run = read_run(folder, evaluations)
    with disk_errors(out):
        kept = {name: written(out / f"{name}.md") for name in ("card", *CHECKLISTS)}
        _ours(out / "card.json")
    facts = all_facts(run)
    about = _about(run)
    texts = {"card": card_markdown(run, facts)}
    filled = {}
    for name in CHECKLISTS:
        checklist = load_checklist(name)  # type: ignore[arg-type]
        texts[name] = as_markdown(checklist, facts, about, kept[name])
        filled[name] = as_data(checklist, facts, kept[name])
    ready = {name: sealed(text, kept[name]) for name, text in texts.items()}
    data = {**card_data(run, facts), "authors": kept["card"], "checklists": filled}
    data["digest"] = digest(data)
    for name, text in ready.items():
        write_text(out / f"{name}.md", text)
    write_json(out / "card.json", data)
    return data


def all_facts(run: Run) -> dict[str, Fact]:
    """Every fact by its key."""
    found = [*model_facts(run), *training_facts(run), *judged_facts(run), *limit_facts(run)]
    return {one.key: one for one in found}


def card_markdown(run: Run, facts: Mapping[str, Fact]) -> str:
    """The model card for people, with empty blocks for the authors."""

    def say(keys: Sequence[str]) -> str:
        lines = [line for key in keys if key in facts for line in bullets(facts[key])]
        return "\n".join(lines or ["- No file that was given tells."])

    source = (resources.files("eyeground.report") / "card_template.md").read_text(encoding="utf-8")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(source)
    return template.render(
        disclaimer=DISCLAIMER,
        about=_about(run),
        stamps=[safe(one.head) for one in run.evaluations if one.stamps],
        say=say,
        block=block,
        tables=[table.markdown() for one in run.evaluations for table in tables_of(one)],
        groups=[table.markdown() for one in run.evaluations for table in subgroup_tables(one)],
    )


def card_data(run: Run, facts: Mapping[str, Fact]) -> dict[str, Any]:
    """The card as data: facts with sources, tables, and the judged numbers in full."""
    manifest = run.files["manifest.json"]
    return {
        "schema": SCHEMA,
        "eyeground": __version__,
        "disclaimer": DISCLAIMER,
        "bundle": {key: manifest[key] for key in ("digest", "format", "eyeground_version")},
        "evaluations": [_evaluation(one) for one in run.evaluations],
        "facts": {key: one.to_dict() for key, one in facts.items()},
    }


def _evaluation(one: Evaluation) -> dict[str, Any]:
    """An evaluation's numbers as they are, without rounding; suppressed cells without numbers."""
    keys = (
        "part",
        "n",
        "split_hash",
        "both_eyes_only",
        "probabilities",
        "leak_audit",
        "macro_auc",
        "macro_ap",
        "macro_n",
    )
    tables: list[Table] = [*tables_of(one), *subgroup_tables(one)]
    return {
        "name": one.name,
        "sha256": one.sha256,
        "stamps": list(one.stamps),
        **{key: one.data[key] for key in keys if key in one.data},
        "per_class": one.data["per_class"],
        "intervals": one.data.get("intervals"),
        "tables": [table.to_dict() for table in tables],
    }


def _about(run: Run) -> list[str]:
    """What the files were made from."""
    manifest = run.files["manifest.json"]
    lines = [f"Bundle `{run.bundle.digest}` (format {manifest['format']}, eyeground {manifest['eyeground_version']})."]
    lines += [f"**STAMPED: {safe(text)}.**" for text in split_stamps(run.split, run.fold)]
    lines += [f"{safe(one.title)}; evaluation.json with SHA-256 `{one.sha256}`." for one in run.evaluations]
    return [*lines, f"Written by eyeground {__version__}. Intervals stand in brackets behind their numbers."]


def _ours(path: Path) -> None:
    """Raises `DataError` when a card.json is there that this program did not write, or that was changed since."""
    if not path.exists():
        return
    data = _json(path)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise DataError(f"{path} is there and is not this program's; choose another --out")
    if digest({key: value for key, value in data.items() if key != "digest"}) != data.get("digest"):
        raise DataError(f"{path} was changed by hand, and that would be lost; choose another --out")
