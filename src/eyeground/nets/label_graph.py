"""A graph over labels: how often they occur together, and the classifiers that graph convolution makes from it.

The equations are those of ML-GCN (Chen, Wei, Wang and Guo, CVPR 2019, "Multi-Label Image Recognition with Graph
Convolutional Networks"). Axes: n samples, C labels, d numbers per label vector, K feature channels.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eyeground.errors import DataError, UsageError
from eyeground.vocabulary import Label, Vocabulary


def conditional(labels: Tensor, known: Tensor) -> Tensor:
    """P[i, j] = P(label j | label i) (C, C), 0 on the diagonal and for labels that never occur.

    A sample has part in P[i, j] where both labels are known: M_ij of them have both, N_ij have i.

    Args:
        labels: 0 or 1 (n, C); known: bool (n, C).
    """
    there = known.double()
    present = labels.double() * there
    both, given = present.T @ present, present.T @ there  # M, N (C, C)
    return (both / given.clamp(min=1)).fill_diagonal_(0)


def adjacency(chance: Tensor, tau: float, p: float, weighted: bool = False) -> Tensor:
    """A' (C, C) from P(j | i): neighbours share the part p of a row, the label itself keeps 1 - p.

    An edge is P_ij >= tau; `weighted` takes P_ij itself as its weight, without a threshold. A row without edges is the
    identity's. Every row sums to 1, so D = I and the symmetric normalisation D^(-1/2) A' D^(-1/2) is A' itself.
    """
    edges = (chance if weighted else (chance >= tau).to(chance.dtype)).clone().fill_diagonal_(0)
    total = edges.sum(1, keepdim=True)
    joined = total > 0
    shared = p * edges / torch.where(joined, total, 1.0)
    return shared + torch.diag(torch.where(joined[:, 0], 1 - p, 1.0))


def require_edges(chance: Tensor, tau: float, vocabulary: Vocabulary) -> None:
    """Raises `UsageError` where no P(j | i) reaches `tau`, with the largest there is."""
    apart = chance.clone().fill_diagonal_(-1)
    largest = float(apart.max())
    if largest >= tau:
        return
    if largest <= 0:
        raise UsageError("no two labels of the training eyes ever occur together, so there is no graph: --head linear")
    i, j = divmod(int(apart.argmax()), len(apart))
    lower = math.floor(largest * 100) / 100
    choice = f"--tau {lower}" if lower else "--weighted"
    raise UsageError(
        f"no two labels of the training eyes occur together often enough for --tau {tau}: the largest is "
        f"P({vocabulary.codes[j]} | {vocabulary.codes[i]}) = {largest:.3f}; choose {choice} or --head linear"
    )


class GraphClassifier(nn.Module):
    """Two graph layers make a classifier per label: W = A^ LeakyReLU(A^ Z W0) W1, (C, K).

    Attributes: `adjacency` A^ (C, C), the identity until it is set, and `vectors` Z (C, d), one-hot where d = C and
    zeros until set otherwise. Both travel with the weights.
    """

    adjacency: Tensor
    vectors: Tensor

    def __init__(self, labels: int, width: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("adjacency", torch.eye(labels))
        self.register_buffer("vectors", torch.eye(labels) if width == labels else torch.zeros(labels, width))
        self.first = nn.Parameter(torch.empty(width, hidden))
        self.second = nn.Parameter(torch.empty(hidden, channels))
        for weight in (self.first, self.second):
            bound = 1 / math.sqrt(weight.shape[1])
            nn.init.uniform_(weight, -bound, bound)

    def forward(self) -> Tensor:
        hidden = F.leaky_relu(self.adjacency @ self.vectors @ self.first, 0.2)
        return self.adjacency @ hidden @ self.second


def label_vectors(path: Path, vocabulary: Vocabulary, width: int) -> Tensor:
    """A vector per label (C, width) from a text file with lines `word number number ...`, as GloVe's.

    A label is looked for by its name, else as the mean over the words of its name, else by its code. Names may hold
    blanks and are compared without regard to case, codes as they are written.

    Raises:
        UsageError: no such file, or one without a vector for some label, which is named.
        DataError: a line that is wanted has other than `width` numbers.
    """
    words = {word for label in vocabulary.labels for word in _names(label)}
    found = _read_vectors(path, words | set(vocabulary.codes), width)
    chosen = [_vector(label, found) for label in vocabulary.labels]
    missing = [label.name for label, vector in zip(vocabulary.labels, chosen, strict=True) if vector is None]
    if missing:
        raise UsageError(f"{path} has no vector for {', '.join(missing)}; add a line for each, or --embedding onehot")
    return torch.stack([vector for vector in chosen if vector is not None])


def _names(label: Label) -> list[str]:
    """The whole name and its words, in lower case."""
    name = label.name.lower()
    return [name, *name.split()]


def _vector(label: Label, found: dict[str, Tensor]) -> Tensor | None:
    whole, *words = _names(label)
    if whole in found:
        return found[whole]
    if words and all(word in found for word in words):
        return torch.stack([found[word] for word in words]).mean(0)
    return found.get(label.code)


def _read_vectors(path: Path, wanted: set[str], width: int) -> dict[str, Tensor]:
    """The vectors of the words that are wanted; a word in small letters stands for every way to write it."""
    heads = {word.split()[0] for word in wanted if word.split()}
    found: dict[str, Tensor] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                head = "".join(line.split(maxsplit=1)[:1])
                if head not in heads and head.lower() not in heads:
                    continue
                word, numbers = _parted(line)
                keys = ({word, word.lower()} & wanted) - set(found)
                if keys and len(numbers) != width:
                    raise DataError(
                        f"line {number} of {path} has {len(numbers)} numbers after '{word}', not {width} as "
                        "--embedding-size says"
                    )
                found.update({key: torch.tensor(numbers) for key in keys})
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--embedding {path} can't be read as text ({error}); give onehot or a file") from error
    return found


def _parted(line: str) -> tuple[str, list[float]]:
    """A line's words, at least one, and the numbers that end it."""
    parts = line.split()
    numbers: list[float] = []
    for part in reversed(parts[1:]):
        try:
            numbers.append(float(part))
        except ValueError:
            break
    return " ".join(parts[: len(parts) - len(numbers)]), numbers[::-1]
