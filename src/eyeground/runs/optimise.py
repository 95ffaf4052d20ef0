"""Optimisers and learning-rate schedules by name, as the papers of this field use them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from eyeground.errors import UsageError
from eyeground.settings import refuse_idle

Schedule = Literal["one_cycle", "cosine", "poly", "step", "drops", "inverse", "constant"]


@dataclass(frozen=True)
class Optimisation:
    """How the weights move."""

    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """adamw, adam (weight decay as part of the gradient), or sgd with `momentum`."""
    lr: float = 1e-3
    """Peak learning rate."""
    momentum: float = 0.9
    """Of sgd."""
    nesterov: bool = False
    """Nesterov's momentum, of sgd."""
    trunk_lr: float = 1.0
    """Learning rate of the trunk, as a part of that of all else; 0 freezes its weights and running means."""
    schedule: Schedule = "one_cycle"
    """one_cycle: linear warm-up over `warmup`, then cosine to lr/1000; cosine: the same without warm-up; poly:
    lr · (1 - t/T)^0.9; step: a tenth after every `step_epochs`; drops: a tenth from each of
    `drop_epochs` on; inverse: lr / (1 + lr_decay · t); constant."""
    warmup: float = 0.2
    """Part of all steps that one_cycle spends warming up."""
    step_epochs: int = 40
    """Epochs between the falls of schedule step."""
    drop_epochs: tuple[int, ...] = ()
    """Epochs after which schedule drops falls to a tenth, such as 150 220."""
    lr_decay: float = 1e-6
    """Decay of schedule inverse, per step."""
    weight_decay: float = 0.02
    """On weights of two or more dimensions only; biases and normalisation are left alone."""

    def check_optimisation(self) -> None:
        """Raises `UsageError` for values that would have no effect."""
        for name, mine, others in (
            ("momentum", self.optimizer == "sgd", f"--optimizer {self.optimizer}"),
            ("nesterov", self.optimizer == "sgd", f"--optimizer {self.optimizer}"),
            ("warmup", self.schedule == "one_cycle", f"--schedule {self.schedule}"),
            ("step_epochs", self.schedule == "step", f"--schedule {self.schedule}"),
            ("drop_epochs", self.schedule == "drops", f"--schedule {self.schedule}"),
            ("lr_decay", self.schedule == "inverse", f"--schedule {self.schedule}"),
        ):
            if not mine:
                refuse_idle(self, [name], others)
        if self.nesterov and not self.momentum > 0:
            raise UsageError("--nesterov looks ahead by the momentum, and --momentum is 0; raise it, or leave this out")
        if self.schedule == "drops" and (not self.drop_epochs or min(self.drop_epochs) < 1):
            raise UsageError("--schedule drops falls at --drop-epochs: give some, each 1 or more, such as 150 220")

    def lr_at(self, step: int, steps: int, epochs: int) -> float:
        """Learning rate of a step (0-based) of `steps` in all, which make `epochs` epochs."""
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "poly":
            return self.lr * (1 - step / steps) ** 0.9
        if self.schedule == "step":
            return self.lr * 0.1 ** (step * epochs // steps // self.step_epochs)
        if self.schedule == "drops":
            return self.lr * 0.1 ** sum(step * epochs // steps >= epoch for epoch in self.drop_epochs)
        if self.schedule == "inverse":
            return self.lr / (1 + self.lr_decay * step)
        rise = max(1, round(self.warmup * steps)) if self.schedule == "one_cycle" else 0
        if step < rise:
            return self.lr * (0.04 + 0.96 * step / rise)
        along = (step - rise) / max(1, steps - rise)
        return self.lr * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * along)))


def make_optimizer(model: nn.Module, settings: Optimisation) -> torch.optim.Optimizer:
    """The optimiser over a model's weights. Each group's `scale` is what the schedule's rate is multiplied with.

    Parameters of modules called `trunk`, or with a name that begins so, are the trunk's.
    """
    groups = _groups(model, settings)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.lr)


def trunks(model: nn.Module) -> dict[str, nn.Module]:
    """The modules called `trunk`, or with a name that begins so."""
    return {name: one for name, one in model.named_children() if name.startswith("trunk")}


def freeze(model: nn.Module) -> None:
    """Holds the trunks as they are: no gradient, and running means and dropout as in a reading.

    Raises:
        UsageError: the model has no trunk.
    """
    found = trunks(model)
    if not found:
        raise UsageError("--trunk-lr 0 holds a trunk still, and this method has none; give another --trunk-lr")
    for one in found.values():
        one.requires_grad_(False).eval()


def set_lr(optimizer: Any, lr: float) -> None:
    """Gives every group its part of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]


def _groups(model: nn.Module, settings: Optimisation) -> list[dict[str, Any]]:
    """Decay on weights of two or more dimensions; biases, norms and vectors without. The trunk apart where it must."""
    named = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
    groups = []
    for trunk, scale in ((False, 1.0), (True, settings.trunk_lr)):
        mine = [one for name, one in named if (settings.trunk_lr != 1 and name.startswith("trunk")) == trunk]
        for dims, decay in ((True, settings.weight_decay), (False, 0.0)):
            chosen = [one for one in mine if (one.dim() >= 2) == dims]
            if chosen and (scale or not trunk):
                groups.append({"params": chosen, "weight_decay": decay, "scale": scale, "lr": settings.lr * scale})
    return groups
