"""What a model card is made from: a bundle, its split and judgements of this very bundle; all else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyeground.errors import BundleError, DataError, UsageError
from eyeground.files import sha256_of
from eyeground.report.card_shape import misfits
from eyeground.runs.bundle import Bundle, load_bundle


@dataclass(frozen=True)
class Evaluation:
    """One judgement. `name` is how the card calls it, `sha256` that of its file, `stamps` what it is not honest for."""

    name: str
    sha256: str
    data: dict[str, Any]
    stamps: tuple[str, ...]

    @property
    def title(self) -> str:
        """Name, part and number of visits, for headings."""
        eyes = ", both eyes only" if self.data.get("both_eyes_only") else ""
        return f"{self.name}: {self.data['part']} part, {self.data['n']} visits{eyes}"

    @property
    def head(self) -> str:
        """How a line of numbers begins: the name, and the stamps if there are any."""
        return f"{self.name} [STAMPED: {'; '.join(self.stamps)}]" if self.stamps else self.name


@dataclass(frozen=True)
class Run:
    """A bundle with what lies in its folder, and its evaluations. `files` holds every table by the name sources use."""

    bundle: Bundle
    files: dict[str, Any]
    evaluations: tuple[Evaluation, ...]

    @property
    def split(self) -> dict[str, Any]:
        """The bundle's split.json as it stands."""
        found: dict[str, Any] = self.files["split.json"]
        return found

    @property
    def fold(self) -> int:
        return int(self.bundle.config["data"]["fold"])

    @property
    def honest(self) -> tuple[Evaluation, ...]:
        """The evaluations without a stamp."""
        return tuple(one for one in self.evaluations if not one.stamps)


def read_run(folder: Path, evaluations: Sequence[Path]) -> Run:
    """Reads and verifies a bundle and its evaluations (files, or folders with an evaluation.json).

    Raises:
        BundleError: no bundle, or an incomplete or altered one.
        UsageError: the same evaluation twice.
        DataError: a file that is no evaluation, is of another bundle or contradicts the bundle.
    """
    bundle = load_bundle(folder)
    files: dict[str, Any] = {"config.toml": bundle.config, "manifest.json": _json(folder / "manifest.json")}
    for name in files["manifest.json"]["files"]:
        if name.endswith(".json"):
            files[name] = _json(folder / name)
        elif name == "LICENSE":
            files[name] = (folder / name).read_text(encoding="utf-8")
    if not isinstance(files["split.json"].get("folds"), list) or "fingerprints" not in files["split.json"]:
        raise BundleError(f"split.json of bundle {folder} is not a split; copy the whole folder again")
    bundle_stamps = split_stamps(files["split.json"], int(bundle.config["data"]["fold"]))
    found: list[Evaluation] = []
    for number, given in enumerate(evaluations, start=1):
        path = given / "evaluation.json" if given.is_dir() else given
        data = _json(path) if path.is_file() else _missing(given)
        _belongs(path, data, bundle)
        one = Evaluation(f"E{number}", sha256_of(path), data, _once((*stamps_of(data), *bundle_stamps)))
        if any(other.sha256 == one.sha256 for other in found):
            raise UsageError(f"--evaluation {given} is given twice")
        found.append(one)
        files[one.name] = data
    return Run(bundle, files, tuple(found))


def stamps_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What a judgement says against its own numbers: stamps, a protocol that leaks, a leak audit that did not pass."""
    audit = data["leak_audit"] if isinstance(data["leak_audit"], Mapping) else {}
    found = [place["stamp"] for place in (data, audit) if place.get("stamp")]
    found += _leaky(data) if not found else []
    if not found and audit.get("passed") is not True:
        found.append(f"the leak audit did not pass: {audit.get('text', 'no text')}")
    return _once(found)


def split_stamps(split: Mapping[str, Any], fold: int) -> tuple[str, ...]:
    """What a split says against all numbers that are made with it."""
    stamps = split.get("stamps") or ()
    return _once([stamps[fold]] if fold < len(stamps) else _leaky(split))


def _leaky(data: Mapping[str, Any]) -> list[str]:
    protocol = data.get("protocol")
    if isinstance(protocol, Mapping) and protocol.get("leaky"):
        return [f"made under the protocol '{protocol.get('name', 'unnamed')}', which leaks"]
    return []


def _once(stamps: Sequence[str]) -> tuple[str, ...]:
    """Without a stamp that another one says too."""
    texts = list(dict.fromkeys(str(text) for text in stamps))
    return tuple(text for text in texts if not any(text != other and text in other for other in texts))


def _belongs(path: Path, data: Any, bundle: Bundle) -> None:
    """Raises `DataError` when a file is no evaluation of this bundle."""
    wrong = next(misfits(data), None)
    if wrong:
        raise DataError(f"{path} is not the judgement of a bundle ({wrong}); `eyeground evaluate --out` writes one")
    theirs, made_from = data["bundle"].get("digest"), bundle.metrics.get("made_from") or {}
    if theirs != bundle.digest:
        if theirs and theirs == made_from.get("digest"):
            raise DataError(
                f"{path} judges bundle {theirs[:12]}, from which `{made_from.get('by')}` made this one "
                f"({bundle.digest[:12]}): its numbers are not this bundle's; evaluate this bundle"
            )
        raise DataError(
            f"{path} judges bundle {str(theirs)[:12]}, not this one ({bundle.digest[:12]}); give an evaluation of this "
            "bundle"
        )
    codes = tuple(row.get("code") for row in data["per_class"])
    if codes != bundle.vocabulary.codes:
        raise DataError(f"{path} was altered: its labels {', '.join(map(str, codes))} are not those of the bundle")
    mapped = data["probabilities"] == "mapped"
    for row, value in zip(data["per_class"], bundle.threshold_values(), strict=True):
        if row["threshold"] != (0.5 if mapped else value):
            raise DataError(
                f"{path} was altered: the threshold of {row['code']} is {row['threshold']:g}, not that of the bundle"
            )
        if row["n_pos"] + row["n_neg"] != row["n"] or row["n"] > data["n"]:
            raise DataError(f"{path} was altered: the counts of {row['code']} do not add up")


def _missing(path: Path) -> Any:
    what = "has no evaluation.json" if path.is_dir() else "is not there"
    raise DataError(f"--evaluation {path} {what}; `eyeground evaluate --out DIR` writes one")


def _json(path: Path) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not a number")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error
