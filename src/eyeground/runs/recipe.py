"""How a model is trained, whatever the method: one frozen record that ends up in the bundle's config.toml."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from eyeground.augment import Augmentation
from eyeground.errors import UsageError


@dataclass(frozen=True)
class Recipe(Augmentation):
    """The shared part of a training run, augmentation included; a method adds its own `Config`."""

    size: int = 256
    """Side of the cropped picture in pixels."""
    start_size: int = 0
    """Side used in the first half of the epochs (a cheaper start); 0 is `size` throughout."""
    enhance: tuple[str, ...] = ()
    """Named enhancements after the crop: clahe, graham, equalise, equalise_luma."""
    epochs: int = 12
    """Passes over the training visits."""
    batch_size: int = 16
    """Visits (pairs of eyes) per step and process."""
    lr: float = 1e-3
    """Peak learning rate of AdamW."""
    schedule: Literal["one_cycle", "cosine"] = "one_cycle"
    """one_cycle: linear warm-up over `warmup`, then cosine to lr/1000; cosine: the same without warm-up."""
    warmup: float = 0.2
    """Part of all steps that one_cycle spends warming up."""
    weight_decay: float = 0.02
    """On weights of two or more dimensions only; biases and normalisation are left alone."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 does not clip."""
    ema: float = 0.998
    """Decay per step of the averaged weights that are judged and kept; 0 keeps the raw weights."""
    select: Literal["best", "last"] = "best"
    """best: the epoch with the highest mean of macro AUC and macro AP on validation; last: the last epoch."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """auto: bf16-mixed where the processor has it in hardware, else 32-true."""
    one_eye: Literal["seen", "visit"] = "seen"
    """Visits with one eye: learn the labels that this eye bears out, or all of the visit's."""
    threshold_rule: Literal["f1", "youden", "fixed"] = "f1"
    """How each label's threshold is chosen on the validation part."""
    seed: int = 0
    """Of weights, order and augmentation."""

    def __post_init__(self) -> None:
        for name, low in (("size", 32), ("epochs", 1), ("batch_size", 1)):
            if getattr(self, name) < low:
                raise UsageError(f"--{name.replace('_', '-')} must be at least {low}, not {getattr(self, name)}")
        for name in ("weight_decay", "clip", "rotate", "zoom", "shift", "brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise UsageError(f"--{name.replace('_', '-')} must not be negative, not {getattr(self, name)}")
        for name in ("zoom", "brightness", "contrast", "saturation", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"--{name} must be in [0, 1), not {getattr(self, name)}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"--ema must be in [0, 1), not {self.ema}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"--lr must be a positive number, not {self.lr}")
        if self.start_size and not 32 <= self.start_size <= self.size:
            raise UsageError(f"--start-size must be 0 or between 32 and --size {self.size}, not {self.start_size}")

    def side_at(self, epoch: int) -> int:
        """Side in pixels of the training pictures of an epoch (0-based)."""
        return self.start_size if self.start_size and epoch < self.epochs // 2 else self.size

    def lr_at(self, step: int, steps: int) -> float:
        """Learning rate of a step (0-based) of `steps` in all."""
        rise = max(1, round(self.warmup * steps)) if self.schedule == "one_cycle" else 0
        if step < rise:
            return self.lr * (0.04 + 0.96 * step / rise)
        along = (step - rise) / max(1, steps - rise)
        return self.lr * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * along)))
