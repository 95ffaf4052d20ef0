"""`train --init BUNDLE`: the trunk starts from another bundle's, never from one that saw this run's held-out patients.

The new bundle tells in chosen_on.json which photographs its first trunk had seen, beyond its own training and
validation part, so that the leak audit of every later judgement knows them, also when bundles follow one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file
from torch import Tensor, nn

from eyeground.errors import LeakError, UsageError
from eyeground.leaks import Fingerprint, audit
from eyeground.records import Cohort
from eyeground.runs.bundle import CHOSEN_ON, Bundle, load_bundle
from eyeground.runs.chosen import Chosen, chosen_on
from eyeground.runs.optimise import trunks
from eyeground.runs.unseen import Asked, same_people
from eyeground.splits import Split

BY = "train --init"
"""How chosen_on.json names the photographs that a first trunk had seen."""


@dataclass(frozen=True)
class Inherited:
    """A bundle whose trunk is taken over, and the photographs it had seen that this run's own split does not tell."""

    bundle: Bundle
    seen: tuple[Chosen, ...]

    def tables(self) -> dict[str, Any]:
        """chosen_on.json for the new bundle, or nothing."""
        return {CHOSEN_ON: {"used": [one.to_dict() for one in self.seen]}} if self.seen else {}


def inherit(folder: Path, split: Split, fold: int, cohort: Cohort) -> Inherited:
    """Reads the bundle and audits what its trunk has seen against this run's validation and test part.

    Training photographs must be in neither part. Those of the bundle's validation part, which chose its epoch, must not
    be in the test part. The same fold of the same split needs no audit.

    Raises:
        LeakError: a patient or photograph is in both.
        BundleError: no bundle there, or one that is not whole.
        UsageError: the mean of several networks, which has no one trunk.
    """
    bundle, parts = load_bundle(folder), split.fold(fold)
    members = int(bundle.config["predict"].get("members", 1))
    if members > 1:
        raise UsageError(f"--init {folder}: it is the mean of {members} networks; start from one of them")
    asked, seen = Asked(cohort), []
    mine = {one.sha256 for one in split.fingerprints_of(parts.train + parts.val)}
    for what, one in _seen(bundle, split, fold):
        held = split.fingerprints_of(parts.test if what == "val" else parts.val + parts.test)
        found = audit(one.fingerprints, held, same_people(asked, one.layout, one.fingerprints))
        if not found.passed:
            raise LeakError(
                f"--init {folder}: its trunk has learnt from patients of this run's validation or test part "
                f"({found.text}); train it on the same fold of the same split"
            )
        new = tuple(print_ for print_ in one.fingerprints if print_.sha256 not in mine)
        if new:
            seen.append(Chosen(one.layout, one.split_hash, BY, new))
    return Inherited(bundle, tuple(seen))


def _seen(bundle: Bundle, split: Split, fold: int) -> Iterator[tuple[str, Chosen]]:
    """Photographs that the bundle's trunk has seen, by part, but for those of this very fold."""
    own, number = Split.load(bundle.split), int(bundle.config["data"]["fold"])
    if (own.hash, number) != (split.hash, fold):
        for part in ("train", "val"):
            prints: tuple[Fingerprint, ...] = own.fingerprints_of(own.fold(number).part(part))
            yield part, Chosen(own.layout, own.hash, BY, prints)
    yield from (("train", one) for one in chosen_on(bundle) if one.by == BY)


def start_trunk(model: nn.Module, bundle: Bundle) -> None:
    """Copies a bundle's trunk, its normalisation too, into the model's. A second trunk takes its own namesake's, or the
    one trunk's. A trunk with a method `adopt` decides itself what it takes over: it may be larger than the other.

    Raises:
        UsageError: no trunk on one of the sides, or other shapes.
    """
    weights, mine = load_file(str(bundle.weights)), trunks(model)
    if not mine:
        raise UsageError("--init starts a trunk, and this method has none; leave it out")
    for name, module in mine.items():
        source = name if any(key.startswith(f"{name}.") for key in weights) else "trunk"
        theirs = {key.removeprefix(f"{source}."): one for key, one in weights.items() if key.startswith(f"{source}.")}
        grows = hasattr(module, "adopt")  # takes over what a smaller net has learnt, and says what does not fit
        odd = cast(Any, module).adopt(theirs) if grows else _odd(module, theirs)
        if odd:
            method = bundle.config["method"]
            what = f"method {method['name']}, trunk {method.get('trunk', 'its own')}"
            mend = "a net grows from one with the same first layers" if grows else "use the same --trunk"
            raise UsageError(f"the trunk of --init {bundle.folder} ({what}) does not fit this one ({odd}); {mend}")
        if not grows:
            module.load_state_dict(theirs)


def _odd(module: nn.Module, theirs: dict[str, Tensor]) -> str | None:
    """The first of a trunk's names that is not in both, or has another shape."""
    ours = module.state_dict()
    odd = [key for key in ours if key not in theirs or theirs[key].shape != ours[key].shape]
    odd += [key for key in theirs if key not in ours]
    return odd[0] if odd else None
