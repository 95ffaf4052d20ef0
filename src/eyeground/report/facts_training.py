"""What a bundle proves of the training run: recipe and seed, the visits, and how they were parted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from eyeground.report.card_input import Run, split_stamps
from eyeground.report.facts import Fact, bounded, count, fact

AUGMENTATION = ("rotate", "zoom", "shift", "brightness", "contrast", "saturation", "laterality")
PARTS = {"train": "training", "val": "validation", "test": "test"}


def training_facts(run: Run) -> Iterator[Fact]:
    """Facts of the training run."""
    yield from _recipe(run)
    yield from _split(run)
    yield from _people(run)
    yield from _validation(run)


def _recipe(run: Run) -> Iterator[Fact]:
    recipe, method, data = (run.bundle.config[name] for name in ("recipe", "method", "data"))
    said = [f"{key} = {_plain(value)}" for key, value in recipe.items() if key not in (*AUGMENTATION, "seed")]
    yield fact("training.recipe", f"Recipe: {', '.join(said)}. Optimiser AdamW.", "config.toml#recipe")
    augment = [f"{key} = {_plain(recipe[key])}" for key in AUGMENTATION if key in recipe]
    yield fact("training.augmentation", f"Augmentation: {', '.join(augment)}.", "config.toml#recipe")
    yield fact("training.seed", f"Seed {recipe['seed']}; this bundle is one training run.", "config.toml#recipe.seed")
    best = recipe.get("select") == "best"
    text = (
        "the epoch with the highest mean of macro AUC and macro AP on the validation part" if best else "the last epoch"
    )
    yield fact("training.selection", f"Of {recipe['epochs']} epochs: {text}.", "config.toml#recipe.select")
    known = {key: method[key] for key in ("loss", "pos_weight") if key in method}
    if known:
        said = [f"{key} = {value}" for key, value in known.items()]
        yield fact("training.imbalance", f"Class imbalance: {', '.join(said)}.", "config.toml#method")
        if known == {"loss": "bce", "pos_weight": "none"}:
            text = "Nothing was done about class imbalance: rare labels weigh no more than others."
            yield fact("training.unweighted", text, "config.toml#method.pos_weight")
    if "device" in data:
        text = f"Trained on {data['device']}, precision {data['precision']}, processes: {data['processes']}."
        yield fact("training.machine", text, "config.toml#data")


def _split(run: Run) -> Iterator[Fact]:
    split, data = run.split, run.bundle.config["data"]
    yield fact("data.layout", f"Development data: layout `{data['layout']}`.", "config.toml#data.layout")
    yield fact("split.hash", f"Split `{split['hash']}`, fold {run.fold}.", "split.json#hash")
    scheme = ", ".join(f"{key} {value}" for key, value in split["scheme"].items())
    protocol, stamped = split.get("protocol"), bool(split_stamps(split, run.fold))
    even = "stratified over all labels" if not protocol or protocol.get("stratify") == "labels" else "not stratified"
    text = f"Parted by chance with seed {split['seed']}, {even}: {scheme}."
    yield fact("split.scheme", text, "split.json#scheme", "split.json#seed")
    parts, prints = split["folds"][run.fold], split["fingerprints"]
    of = {name: set(parts[name]) for name in PARTS}
    rows = {name: [one for one in prints if one[0] in of[name]] for name in PARTS}
    lines = []
    for name, word in PARTS.items():
        readable = [one for one in rows[name] if one[4]]
        alone = sum(seen == 1 for seen in _per_visit(readable).values())
        people = len({one[1] for one in rows[name]})
        lines.append(
            f"{word} part: {count(len(of[name]), 'visit')} of {count(people, 'patient')}, "
            f"{count(len(readable), 'readable photograph')}, {count(alone, 'visit')} with one of them only."
        )
    lines.append(f"Trained on {count(data['train_visits'], 'visit')}.")
    where = f"split.json#folds.{run.fold}"
    yield fact("split.parts", lines, where, "split.json#fingerprints", "config.toml#data.train_visits")
    yield fact("split.disjoint", list(_disjoint(rows)), where, "split.json#fingerprints", stamped=stamped)
    pairs, groups = len(split.get("duplicates", [])), len(split["groups"])
    kept = f"{count(groups, 'group')} of several visits kept together"
    text = f"{count(pairs, 'pair')} of duplicate photographs found; {kept}."
    yield fact("split.duplicates", text, "split.json#groups", "split.json#duplicates")
    if protocol:
        told = ", ".join(f"{key} {_plain(value)}" for key, value in protocol.items())
        yield fact("split.protocol", f"Protocol: {told}.", "split.json#protocol", stamped=stamped)


def _disjoint(rows: dict[str, list[Any]]) -> Iterator[str]:
    """What two parts share, counted anew from the split's own table."""
    for one, two in combinations(PARTS, 2):
        shared = {row[1] for row in rows[one]} & {row[1] for row in rows[two]}
        same = {row[3] for row in rows[one] if row[3]} & {row[3] for row in rows[two]}
        yield (
            f"{PARTS[one]} and {PARTS[two]} part have {count(len(shared), 'patient')} and "
            f"{count(len(same), 'identical file')} in common."
        )


def _per_visit(rows: list[Any]) -> dict[str, int]:
    seen: dict[str, int] = {}
    for row in rows:
        seen[row[0]] = seen.get(row[0], 0) + 1
    return seen


def _people(run: Run) -> Iterator[Fact]:
    parts = run.bundle.metrics.get("parts")
    if parts:
        lines = [f"{PARTS.get(name, name)} part: {people(part)}" for name, part in parts.items()]
        yield fact("training.characteristics", lines, "metrics.json#parts")
    lines = ["A missing or unreadable photograph is left out; the visit stays if the other eye can be read."]
    mode = run.bundle.config["recipe"].get("one_eye")
    sources = ["manifest.json#eyeground_version"]
    if mode:
        seen = "only the labels that this eye bears out" if mode == "seen" else "all labels of the visit"
        lines.append(f"A visit with one photograph taught {seen} (one_eye = {mode}).")
        sources.append("config.toml#recipe.one_eye")
    lines.append("An unknown label takes no part in loss or measures; nothing is imputed.")
    yield fact("data.missing", lines, *sources)


def people(part: dict[str, Any]) -> str:
    """Numbers of `cohorts.part_counts` in a sentence."""
    sex, age = part["sex"], part["age"]
    years = (
        f"age {age['median']:g} (quartiles {age['q1']:g}–{age['q3']:g}), unknown of {age['unknown']:,}"
        if age["known"]
        else "age unknown"
    )
    labels = ", ".join(
        f"{row['code']} {row['present']:,}" + (f" ({row['unknown']:,} unknown)" if row["unknown"] else "")
        for row in part["labels"]
    )
    return (
        f"{count(part['visits'], 'visit')} of {count(part['patients'], 'patient')}; "
        f"sex F {sex['F']:,}, M {sex['M']:,}, unknown {sex['unknown']:,}; {years}; visits with the label: {labels}."
    )


def _validation(run: Run) -> Iterator[Fact]:
    metrics, found = run.bundle.metrics, run.bundle.metrics["validation"]
    told = [f"macro {name} {bounded(found[f'macro_{key}'], None)}" for key, name in (("auc", "AUC"), ("ap", "AP"))]
    stamps = "; ".join(split_stamps(run.split, run.fold))
    text = (f"[STAMPED: {stamps}] " if stamps else "") + (
        f"Validation part ({metrics['n']:,} visits, {found['macro_n']} labels): {', '.join(told)}; {metrics['note']}."
    )
    yield fact("validation.performance", text, "metrics.json#validation", stamped=True)


def _plain(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
