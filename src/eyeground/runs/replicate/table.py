"""The tables of a grid in Markdown, within 120 columns, and the block of a page that holds them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeground.errors import DataError
from eyeground.files import write_text
from eyeground.runs.replicate.claims import NOT_RUN, SUPPORTED

WIDTH = 120
BY = {"macro_auc": "AUC", "macro_ap": "AP", "final": "final"}
VISITS = {"all": "", "one_label": ", 1", "several_labels": ", 2+"}
Found = Mapping[str, Any]


def markdown(found: Found) -> str:
    """Where and how, systems, claims, and what the claims say in full."""
    parts = [_head(found), _systems(found), _claims(found["claims"]), _texts(found["claims"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_block(path: Path, name: str, text: str) -> None:
    """Replaces what stands between a page's marks of this name.

    Raises:
        DataError: no such page, or not exactly one pair of marks in it.
    """
    begin, end = f"<!-- replication: begin {name} -->", f"<!-- replication: end {name} -->"
    if not path.is_file():
        raise DataError(f"there is no page {path}; make it, with the lines {begin} and {end}")
    page = path.read_text(encoding="utf-8")
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise DataError(f"{path} needs the line {begin} and below it {end}, each once; the tables go between them")
    before, rest = page.split(begin)
    write_text(path, f"{before}{begin}\n\n{text.strip()}\n\n{end}{rest.split(end)[1]}")


def _head(found: Found) -> str:
    runs, machine = found["runs"], found["machine"]
    protocols = ", ".join(f"{name} (split {one['split_hash'][:12]})" for name, one in found["protocols"].items())
    lines = [
        f"Grid `{found['name']}`: {runs['done']} of {sum(runs.values())} runs are done"
        + (f", {runs['failed']} failed" if runs["failed"] else "")
        + f". Protocol {protocols}. {machine['cpu']}, {machine['cores']} cores; eyeground "
        f"{found['versions']['eyeground']}, torch {found['versions'].get('torch', '?')}; {found['date'][:10]}.",
    ]
    lines += [f"{name} failed: {reason}." for name, reason in found["failed"].items()]
    lines += [f"**{stamp}**" for stamp in dict.fromkeys(s for one in found["systems"] for s in one.get("stamps", ()))]
    return "\n\n".join(wrapped(line) for line in lines)


def _systems(found: Found) -> str:
    rows = ["| system | M | folds x seeds | macro AUC (95 %) | macro AP (95 %) | final | min | GiB |"]
    rows.append("|---|---:|---|---|---|---:|---:|---:|")
    base = found["baseline"]
    if base:
        cells = [_three(base.get(key)) for key in ("macro_auc", "macro_ap", "final")]
        rows.append(f"| *prevalence, no picture* | 0 | | {cells[0]} | {cells[1]} | {cells[2]} | | |")
    done = [one for one in found["systems"] if one["done"]]
    for one in sorted(done, key=lambda one: -(one["macro_auc"]["value"] or 0)):
        cells = [
            one["name"],
            f"{one['parameters'] / 1e6:.1f}",
            f"{len(one['folds'])} x {len(one['seeds'])}",
            _with_interval(one["macro_auc"]),
            _with_interval(one["macro_ap"]),
            _three(one["final"]["value"]),
            "–" if one["train_minutes"] is None else f"{one['train_minutes']:.0f}",
            "–" if one["peak_gib"] is None else f"{one['peak_gib']:.1f}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    left = [one["name"] for one in found["systems"] if not one["done"]]
    note = "M: million parameters. min, GiB: minutes and peak memory of one training, mean and largest."
    note += f" Not run yet: {', '.join(left)}." if left else ""
    return "\n".join(rows) + "\n\n" + wrapped(note)


def _claims(claims: Sequence[Found]) -> str:
    if not claims:
        return ""
    rows = [
        "| # | more | less | by | difference (95 %) | p | folds x seeds | verdict |",
        "|---:|---|---|---|---|---:|---|---|",
    ]
    for number, one in enumerate(claims, start=1):
        if one["verdict"] == NOT_RUN:
            continue
        cells = [
            str(number),
            one["better"],
            one["worse"],
            _by(one),
            _difference(one),
            _p(one.get("p")),
            _runs(one),
            f"**{one['verdict']}**" if one["verdict"] == SUPPORTED else one["verdict"],
        ]
        rows.append(f"| {' | '.join(cells)} |")
    table = ["\n".join(rows)] if len(rows) > 2 else []
    note = (
        ["AUC, AP: macro means, final: the challenge's score; 1, 2+: on visits with so many labels."] if table else []
    )
    return "\n\n".join([*table, *note, wrapped(tally(claims))])


def _by(claim: Found) -> str:
    """What a claim is measured by, and on which visits, shortly."""
    return BY[claim["measure"]] + VISITS[claim["visits"]]


def tally(claims: Sequence[Found]) -> str:
    """How many claims stand how, and what is left of them after Holm."""
    kinds = dict.fromkeys(one["verdict"] for one in claims)
    counts = ", ".join(f"{sum(one['verdict'] == kind for one in claims)} {kind}" for kind in kinds)
    tested = [one for one in claims if one.get("p_holm") is not None]
    after = sum(one["p_holm"] <= 0.05 and one["verdict"] == SUPPORTED for one in tested)
    holm = f" After Holm over the {len(tested)} tested, {after} of those supported stand." if len(tested) > 1 else ""
    return f"{_count(claims, 'claim')}: {counts}.{holm}"


def _texts(claims: Sequence[Found]) -> str:
    """What each number of the table claims, by paper; numbers of one sentence together."""
    said: dict[tuple[str, str, str], list[tuple[int, Found]]] = {}
    for number, one in enumerate(claims, start=1):
        said.setdefault((one["paper"], one["text"], one["source"]), []).append((number, one))
    lines: list[str] = []
    before = ""
    for (paper, text, source), same in said.items():
        if paper != before:
            before = paper
            lines += ["", f"**{paper}**", ""]
        left = [f"{number} ({one['better']}, {one['worse']})" for number, one in same if one["verdict"] == NOT_RUN]
        told = f" Not run yet: {'; '.join(left)}." if left else ""
        numbers = ", ".join(str(number) for number, _ in same)
        lines.append(wrapped(f"- {numbers}: {text}{f' ({source})' if source else ''}{told}", "  "))
    return "\n".join(lines).strip()


def wrapped(text: str, indent: str = "") -> str:
    """Lines of at most 120 columns."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _runs(one: Found) -> str:
    if len(one["folds"]) * len(one["seeds"]) == 1:
        return "one each"
    return f"{len(one['folds'])} x {len(one['seeds'])}"


def _count(items: Sequence[Any], what: str) -> str:
    return f"{len(items)} {what}{'s' * (len(items) != 1)}"


def _difference(one: Found) -> str:
    if one.get("difference") is None:
        return ""
    bounds = one["interval"]
    return signed(one["difference"]) + (f" ({signed(bounds[0])} to {signed(bounds[1])})" if bounds else "")


def signed(value: float) -> str:
    """Three decimals with their sign; no negative zero."""
    return f"{value:+.3f}".replace("-0.000", "+0.000")


def _with_interval(one: Found) -> str:
    bounds = one["interval"]
    return _three(one["value"]) + (f" ({_three(bounds[0])} to {_three(bounds[1])})" if bounds else "")


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"
