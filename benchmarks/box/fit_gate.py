"""Fits both parts of the gate from the raw folder, writes the package's files, and measures them.

    python -m benchmarks.box.fit_gate --split SPLIT [--data ../shared/data] [--photographs FOLDER] [--parts ...]

`laterality` and `check` are fitted on the split's training photographs (the check also on made pictures); the limits of
the check are quantiles over training and validation. `refusals`, `untouched` and `sides` measure what lies in the
package into `benchmarks/results/gate.json`, and `pages` makes the tables of `docs/gate.md` from it. One thread; the
seeds are here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

from benchmarks import record
from benchmarks.box import gate_figures, gate_negatives, gate_page
from benchmarks.box.gate_laterality import Recipe, fit
from benchmarks.box.gate_views import Photographs, made, odir
from eyeground.files import write_json
from eyeground.images import fundus_check, laterality
from eyeground.images.fundus_check import NAMES
from eyeground.runs.place import cache_folder
from eyeground.runs.provenance import versions

PACKAGE = Path(fundus_check.__file__).parent
Floats = NDArray[np.float32]

CUTS = {"answer": 2.0, "eye": 5.7, "pair": 4.6}
"""Set by hand on validation scores, after those of test and TVHL had been seen too (`docs/gate.md`)."""


@dataclass(frozen=True)
class CheckRecipe:
    """How the rules of `images/fundus_check.py` are fitted.

    `blur`, `shift`: noise added to single features, and to whole groups of them, while the network is fitted.
    """

    axes: int = 12
    rest_weight: float = 8.0
    hidden: int = 16
    drawn: int = 900
    blur: float = 0.8
    shift: float = 1.2
    steps: int = 400
    rate: float = 5e-3
    decay: float = 0.05
    seed: int = 0
    quantile: float = 0.998
    grey_quantile: float = 0.001


def fit_laterality(photographs: Photographs, folder: Path) -> None:
    """Writes laterality.safetensors and its record; the words about its accuracy come with `sides`."""
    recipe = Recipe()
    chosen = photographs.part("train")
    pictures = np.stack([laterality.small(entry.load()) for entry in chosen.entries])
    net = fit(pictures, chosen.right, recipe)
    save_file(net.arrays(), folder / "laterality.safetensors")
    origin = _origin(photographs, len(chosen.entries), recipe) | {"cuts_on": len(photographs.part("val").entries)}
    write_json(folder / "laterality.json", {"cuts": CUTS, "words": "its accuracy was not measured", "origin": origin})


def fit_check(photographs: Photographs, folder: Path) -> None:
    """Writes fundus_check.safetensors and its record."""
    recipe = CheckRecipe()
    train, val = photographs.part("train"), photographs.part("val")
    inside, beside = features_of(train), features_of(val)
    drawn = negatives(train, recipe)
    arrays = axes(inside, recipe)
    arrays |= network(arrays, inside, drawn, recipe)
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}
    save_file(arrays, folder / "fundus_check.safetensors")
    seen = np.concatenate([inside, beside])
    limits = {
        "far": float(np.quantile(fundus_check.distances(arrays, seen), recipe.quantile)),
        "made": float(np.quantile(fundus_check.odds(arrays, seen), recipe.quantile)),
        "grey": float(np.quantile(fundus_check.colourfulness(seen), recipe.grey_quantile)),
    }
    more = {"limits_on": len(seen), "negatives": len(drawn)}
    write_json(
        folder / "fundus_check.json", {"limits": limits, "origin": _origin(photographs, len(inside), recipe) | more}
    )


def _keep(found: dict[str, Any]) -> None:
    """Adds to the record what was measured, in place of what it says about the same so far."""
    path = record.RESULTS / "gate.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.is_file() else {}
    record.write("gate", {**earlier, **found})


def _say(folder: Path, row: dict[str, Any]) -> None:
    """Puts the accuracy on the test part into the record, whose words the warnings use."""
    told = json.loads((folder / "laterality.json").read_text(encoding="utf-8"))
    right = f"{100 * row['share']:.1f} % of {row['n']} photographs"
    told["words"] = f"the detector is right in {right} it was not fitted on"
    write_json(folder / "laterality.json", told)


def _origin(photographs: Photographs, count: int, recipe: Recipe | CheckRecipe) -> dict[str, Any]:
    return {
        "made_by": "benchmarks/box/fit_gate.py",
        "data": "ODIR-5K",
        "split_hash": photographs.split_hash,
        "fitted_on": count,
        "recipe": asdict(recipe),
        "versions": versions(),
    }


def features_of(photographs: Photographs) -> Floats:
    """Features (n, F) of the photographs; one that is dark raises `ValueError`, for ODIR has none."""
    rows = [fundus_check.features(entry.load()) for entry in photographs.entries]
    dark = [name for name, row in zip(photographs.names, rows, strict=True) if row is None]
    if dark:
        raise ValueError(f"dark photographs: {', '.join(dark[:5])}")
    return np.stack([row for row in rows if row is not None])


def negatives(train: Photographs, recipe: CheckRecipe) -> Floats:
    """Features (n, F) of random drawings, and of a third as many photographs made impossible, each as a JPEG."""
    rng = np.random.default_rng(recipe.seed)
    rows: list[Floats | None] = []
    for number in range(recipe.drawn):
        picture = gate_negatives.generic(rng)
        rows.append(fundus_check.features(made(picture, int(rng.integers(60, 96)))))
        if number % 3 == 0:
            view = train.entries[rng.integers(len(train.entries))].load()
            rows.append(fundus_check.features(made(gate_negatives.impossible(view, rng))))
    return np.stack([row for row in rows if row is not None])


def axes(inside: Floats, recipe: CheckRecipe) -> dict[str, Any]:
    """Centre, spread, main axes and what they leave over, of features (n, F) held within `CLIP` spreads."""
    centre = np.median(inside, 0)
    spread = np.percentile(np.abs(inside - centre), 90, axis=0) / 1.645 + 0.02
    clip = fundus_check.CLIP
    centre = centre + np.clip((inside - centre) / spread, -clip, clip).mean(0) * spread
    scaled = np.clip((inside - centre) / spread, -clip, clip)
    _, length, turned = np.linalg.svd(scaled, full_matrices=False)
    kept = turned[: recipe.axes]
    rest = ((scaled**2).sum(1) - ((scaled @ kept.T) ** 2).sum(1)).mean()
    found = {"centre": centre, "spread": spread, "axes": kept, "rest": np.array([rest])}
    found |= {"deviation": length[: recipe.axes] / np.sqrt(len(scaled)), "rest_weight": np.array([recipe.rest_weight])}
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def network(arrays: dict[str, Any], inside: Floats, drawn: Floats, recipe: CheckRecipe) -> dict[str, Any]:
    """One hidden layer that tells drawn rows (n, F) from photographs', both weighing the same, under much noise."""
    torch.manual_seed(recipe.seed)
    count = inside.shape[1]
    net = nn.Sequential(nn.Linear(count, recipe.hidden), nn.ReLU(), nn.Linear(recipe.hidden, 1))
    rows = np.concatenate([inside, drawn])
    clip = fundus_check.CLIP
    x = torch.from_numpy(np.clip((rows - arrays["centre"]) / arrays["spread"], -clip, clip).astype(np.float32))
    y = torch.cat([torch.zeros(len(inside)), torch.ones(len(drawn))])
    weight = torch.where(y > 0, len(inside) / len(drawn), 1.0)
    groups = torch.tensor(_groups()).float()
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    for _ in range(recipe.steps):
        noise = torch.randn(x.shape) * recipe.blur + (torch.randn(len(x), len(groups)) @ groups) * recipe.shift
        loss = F.binary_cross_entropy_with_logits(net(x + noise)[:, 0], y, weight=weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    first, last = net[0], net[2]
    found = {"hidden.weight": first.weight, "hidden.bias": first.bias, "out.weight": last.weight[0]}
    return {name: value.detach().numpy() for name, value in {**found, "out.bias": last.bias}.items()}


def _groups() -> list[list[bool]]:
    """Features that another camera moves together: light, either ratio, strength of the texture, its colour."""
    starts = [[name.startswith(f"colour:{kind}") for name in NAMES] for kind in ("light", "red", "green")]
    red, green = ([name.startswith(f"texture:{kind} ") for name in NAMES] for kind in ("red", "green"))
    both = [a or b for a, b in zip(red, green, strict=True)]
    return [*starts, red, green, both, ["with red" in name for name in NAMES]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="fit_gate")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=PACKAGE, help="folder of the fitted files")
    parser.add_argument("--photographs", type=Path, default=None, help="folder of pictures that are no fundus")
    parts = ("laterality", "check", "refusals", "untouched", "sides", "pages")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    flags = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cache = flags.cache or cache_folder()
    photographs = odir(flags.data / "odir5k", json.loads(flags.split.read_text(encoding="utf-8")), cache)
    if "laterality" in flags.parts:
        fit_laterality(photographs, flags.out)
    if "check" in flags.parts:
        fit_check(photographs, flags.out)
    if "refusals" in flags.parts:
        _keep({"fundus_check": gate_figures.refusals(photographs, flags.data, cache)})
    if "untouched" in flags.parts:
        _keep({"untouched": gate_figures.untouched(flags.photographs)})
    if "sides" in flags.parts:
        found = gate_figures.sides(photographs, flags.data, cache)
        _keep({"laterality": found, "time": gate_figures.times(photographs.part("val"))})
        _say(flags.out, found["photographs"][1])
    if "pages" in flags.parts:
        gate_page.write_page()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
