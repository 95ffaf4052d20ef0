"""What must stand in an `evaluation.json` for a card to be made of it: keys and kinds of their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

NUMBER, PAIR = "a number or null", "two numbers or null"
CALLS = ("auc", "ap", "sensitivity", "specificity", "ppv", "npv")
LOSSES = ("brier", "log_loss", "ece")
OVER_ALL = ("kappa", "f1", "auc", "final", "macro_auc", "macro_ap")
MORE = ("macro_f1", "exact_match", *LOSSES)
MEASURES = ("auc", "sensitivity", "specificity")


def _maybe(names: tuple[str, ...], kind: Any) -> dict[str, Any]:
    return {f"{name}?": kind for name in names}


GAP = {"best": str, "worst": str, "gap": NUMBER, "interval": PAIR, "p_holm?": NUMBER}
CELL = {"code": str, "n": int, "suppressed": bool, **_maybe(MEASURES, NUMBER)}
CELL |= _maybe(tuple(f"{name}_interval" for name in MEASURES), PAIR)
GROUP = {"group": str, "n": int, "macro_auc": NUMBER, "macro_auc_interval?": PAIR, "macro_n": int, "per_class": [CELL]}
BY = {"name": str, "title": str, "source": str, "unknown": int, "groups": [GROUP], "macro_labels?": [str]}
BY |= {"largest_gap?": {"macro_auc?": GAP, "per_class?": [{"code": str, "measure": str, **GAP}]}}
COUNTS = {"n": int, "macro_auc": NUMBER, "macro_n": int, "intervals?": {"macro_auc?": PAIR}}
BIN = {"n": int, "mean": NUMBER, "share": NUMBER}
PERSONS = {"visits": int, "patients": int, "sex": {"F": int, "M": int, "unknown": int}}
PERSONS |= {"age": {"known": int, "unknown": int, "q1": NUMBER, "median": NUMBER, "q3": NUMBER}}
PERSONS |= {"labels": [{"code": str, "present": int, "unknown": int}]}
ROW: dict[str, Any] = {
    "code": str,
    "name?": str,
    "n": int,
    "n_pos": int,
    "n_neg": int,
    "threshold": float,
    "undefined?": dict,
}
ROW |= {**dict.fromkeys(CALLS, NUMBER), **_maybe(LOSSES, NUMBER)}
INTERVALS = {"level": float, "draws": int, "seed": int, "patients": int, "methods?": {"per_class?": dict}}
INTERVALS |= {**_maybe((*OVER_ALL, *MORE), PAIR), "per_class": [{"code": str, **_maybe((*CALLS, *LOSSES), PAIR)}]}

SHAPE: dict[str, Any] = {
    "n": int,
    "part": str,
    "probabilities": str,
    "bundle": {"digest": str},
    "cohort": {"layout": str, "visits": int, "with_images": int},
    "leak_audit": {"passed": bool, "text?": str, "stamp?": str},
    **dict.fromkeys(OVER_ALL, NUMBER),
    **_maybe(MORE, NUMBER),
    "macro_n": int,
    "per_class": [ROW],
    "undefined?": dict,
    "unreadable?": list,
    "not_there?": list,
    "one_eye?": {"visits": int, "labels_of_the_unseen_eye": int},
    "judged?": PERSONS,
    "baselines?": {name: _maybe((*OVER_ALL, *MORE), NUMBER) for name in ("all_zeros?", "prevalence?")},
    "intervals?": INTERVALS,
    "details?": {
        "reliability?": [{"code": str, "bins": [BIN]}],
        "by_label_count?": {"one_label": COUNTS, "several_labels": COUNTS},
    },
    "subgroups?": {"suppressed_below": int, "by": [BY]},
}
"""Keys that end with '?' may be missing or null."""


def misfits(value: Any, shape: Any = None, where: str = "") -> Iterator[str]:
    """What is missing or of another kind, such as 'per_class.0.auc is not a number or null'; nothing if all is well."""
    shape = SHAPE if shape is None else shape
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where or 'the file'} is not a table"
            return
        for key, inner in shape.items():
            name, place = key.rstrip("?"), f"{where}.{key.rstrip('?')}".lstrip(".")
            if value.get(name) is None and key.endswith("?"):
                continue
            if name not in value:
                yield f"no {place}"
            else:
                yield from misfits(value[name], inner, place)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where} is not a list"
            return
        for number, one in enumerate(value):
            yield from misfits(one, shape[0], f"{where}.{number}")
    elif not _fits(value, shape):
        yield f"{where} is not {shape if isinstance(shape, str) else f'of kind {shape.__name__}'}"


def _fits(value: Any, shape: Any) -> bool:
    if shape == PAIR:
        return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_number, value)))
    if shape == NUMBER:
        return value is None or _number(value)
    if shape in (int, float):
        return _number(value) and (shape is float or isinstance(value, int))
    return isinstance(value, shape)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
