"""The small dense net that blends networks and both eyes, team o_O's of the Kaggle contest on retinopathy (2015).

dense 32, maxout over pairs 16, dense 32, maxout 16, dense C; L1 2e-5 on the first layer, L2 0.005 on all weights; Adam
at 5e-4, a tenth of it from 60, 80 and 90 % of the steps on; batches of 128; the mean of six nets (theirs: two networks
times three weight sets, here: six seeds).

How we differ: C logits under cross-entropy in place of one grade under squared error; at least `STEPS` steps, since a
small validation part has a handful of batches in an epoch and theirs had hundreds; no batches drawn by class, which
several labels at once do not have. numpy answers, torch only learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.maxout_head import maxout

Array = NDArray[np.float64]
UNITS, EPOCHS, BATCH, STEPS = 32, 100, 128, 1500
RATE, FIRST_L1, ALL_L2 = 5e-4, 2e-5, 5e-3
DROPS = (0.6, 0.8, 0.9)
"""Parts of the steps after which the rate falls to a tenth."""


class MaxoutNet(nn.Module):
    """(n, K) standardised features -> (n, C) logits."""

    def __init__(self, features: int, labels: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, UNITS)
        self.second = nn.Linear(UNITS // 2, UNITS)
        self.last = nn.Linear(UNITS // 2, labels)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.last(maxout(self.second(maxout(self.first(values)))))
        return logits


@dataclass(frozen=True)
class Maxouts:
    """Several nets' weights, float32, stacked: `first.weight` (nets, 32, K) and so on. The answer is their mean."""

    weights: dict[str, NDArray[np.float32]]

    def probability(self, values: NDArray[np.float32]) -> Array:
        """(n, C): the mean over the nets of their probabilities, for (n, K) standardised features."""
        w = self.weights
        found = []
        for k in range(len(w["first.weight"])):
            hidden = values
            for name in ("first", "second"):
                made = hidden @ w[f"{name}.weight"][k].T + w[f"{name}.bias"][k]
                hidden = made.reshape(len(made), -1, 2).max(2)
            logits = (hidden @ w["last.weight"][k].T + w["last.bias"][k]).astype(np.float64)
            found.append(0.5 * (1 + np.tanh(logits / 2)))
        return np.asarray(np.mean(found, axis=0))

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[np.float32]]) -> Maxouts:
        """Raises `ValueError` where one of the weights is missing."""
        names = [f"{layer}.{what}" for layer in ("first", "second", "last") for what in ("weight", "bias")]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ValueError(f"the dense blend has no {', '.join(missing)}")
        return Maxouts({name: np.asarray(arrays[name]) for name in names})


def learn(
    values: NDArray[np.float32], labels: NDArray[np.float32], known: NDArray[np.bool_], nets: int, seed: int
) -> Maxouts:
    """Trains the nets.

    Args:
        values: (n, K) standardised, finite. labels, known: (n, C).
        nets: how many; the k-th starts from seed + k.
    """
    trained = [_one(values, labels, known, seed + k) for k in range(nets)]
    return Maxouts({name: np.stack([one[name] for one in trained]) for name in trained[0]})


def _one(
    values: NDArray[np.float32], labels: NDArray[np.float32], known: NDArray[np.bool_], seed: int
) -> dict[str, NDArray[np.float32]]:
    generator = torch.Generator().manual_seed(seed)
    given, wanted, mask = torch.from_numpy(values), torch.from_numpy(labels), torch.from_numpy(known)
    net = _start(values.shape[1], wanted, mask, generator)
    steps = max(STEPS, EPOCHS * -(-len(given) // BATCH))
    adam = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.MultiStepLR(adam, [int(part * steps) for part in DROPS])
    matrices = [net.first.weight, net.second.weight, net.last.weight]
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if not len(order):
            order = torch.randperm(len(given), generator=generator)
        rows, order = order[:BATCH], order[BATCH:]
        loss = binary_cross_entropy(net(given[rows]), wanted[rows], mask[rows])
        loss = loss + FIRST_L1 * net.first.weight.abs().sum() + ALL_L2 * sum(w.square().sum() for w in matrices)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def _start(features: int, labels: Tensor, known: Tensor, generator: torch.Generator) -> MaxoutNet:
    """Weights from the generator alone, and a last bias that answers with the prevalence."""
    net = MaxoutNet(features, labels.shape[1])
    present, absent = (labels * known).sum(0) + 1, ((1 - labels) * known).sum(0) + 1
    with torch.no_grad():
        for layer in (net.first, net.second, net.last):
            layer.weight.normal_(std=layer.in_features**-0.5, generator=generator)
            layer.bias.zero_()
        net.last.bias.copy_(torch.log(present / absent))
    return net
