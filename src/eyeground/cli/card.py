"""`eyeground card`: the model card and the reporting checklists of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eyeground.cli.console import note, out, parse, print_json, warn
from eyeground.report.card import CHECKLISTS, write_card


@dataclass(frozen=True)
class Flags:
    """Writes the model card and the TRIPOD+AI and CLAIM checklists, filled only with what the run proves."""

    bundle: Path
    """The trained model's folder."""
    out: Path
    """Folder for card.md, tripod_ai.md, claim.md and card.json. What authors wrote into the blocks there stays."""
    evaluation: tuple[Path, ...] = ()
    """Judgements of this very bundle: evaluation.json files, or folders that hold one (`eyeground evaluate --out`)."""
    json: bool = False
    """Print card.json and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "card")
    data = write_card(flags.bundle, flags.evaluation, flags.out)
    if not flags.evaluation:
        warn("no --evaluation: the card has only the validation part's numbers, which are optimistic")
    for one in data["evaluations"]:
        for stamp in one["stamps"]:
            warn(f"{one['name']}: {stamp}")
    if flags.json:
        print_json(data)
        return 0
    for name in CHECKLISTS:
        filled = data["checklists"][name]
        counts = filled["counts"]
        note(
            f"{filled['name']}: of {len(filled['items'])} items {counts['filled']} filled, {counts['partly']} partly, "
            f"{counts['open']} open"
        )
    out.print(str(flags.out / "card.md"), markup=False)
    return 0
