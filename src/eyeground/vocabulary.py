"""The words a model answers with: ordered labels that say how they relate to each other and to the two eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["multilabel", "exclusive", "grades"]
VisitRule = Literal["any", "all"]


@dataclass(frozen=True)
class Label:
    """One word of a vocabulary.

    `visit` says how a visit's label follows from its eyes': a disease is present when it is in `any` eye;
    Normal only when `all` eyes are normal.
    """

    code: str
    name: str
    visit: VisitRule = "any"


@dataclass(frozen=True)
class Vocabulary:
    """Labels in a fixed order. `kind` is multi-label, exclusive classes or ordered grades."""

    name: str
    kind: Kind
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        codes = self.codes
        if len(set(codes)) != len(codes):
            raise ValueError(f"vocabulary '{self.name}' names a label twice: {', '.join(codes)}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(label.code for label in self.labels)

    def index(self, code: str) -> int:
        """Position of a label. Raises `KeyError` when the vocabulary does not have it."""
        try:
            return self.codes.index(code)
        except ValueError:
            raise KeyError(f"no label '{code}' in vocabulary '{self.name}' ({', '.join(self.codes)})") from None

    def to_dict(self) -> dict[str, Any]:
        labels = [{"code": label.code, "name": label.name, "visit": label.visit} for label in self.labels]
        return {"name": self.name, "kind": self.kind, "labels": labels}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Vocabulary:
        return Vocabulary(data["name"], data["kind"], tuple(Label(**label) for label in data["labels"]))

    @staticmethod
    def multilabel(name: str, codes: Sequence[str]) -> Vocabulary:
        """A vocabulary of independent findings whose codes are also their names; `N` and `normal` need all eyes."""
        rules: dict[str, VisitRule] = {code: "all" if code.lower() in ("n", "normal") else "any" for code in codes}
        return Vocabulary(name, "multilabel", tuple(Label(code, code, rules[code]) for code in codes))


ODIR = Vocabulary(
    "odir",
    "multilabel",
    (
        Label("N", "Normal", "all"),
        Label("D", "Diabetic retinopathy"),
        Label("G", "Glaucoma"),
        Label("C", "Cataract"),
        Label("A", "Age-related macular degeneration"),
        Label("H", "Hypertensive retinopathy"),
        Label("M", "Pathological myopia"),
        Label("O", "Other abnormality"),
    ),
)
"""The eight labels of the ODIR-2019 challenge, in the order of its files."""
