"""How a model is trained, whatever the method: one frozen record that ends up in the bundle's config.toml."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from eyeground.augment import Augmentation
from eyeground.errors import UsageError
from eyeground.mixing import Mixing
from eyeground.runs.optimise import Optimisation
from eyeground.sampling import Sampling


@dataclass(frozen=True)
class Recipe(Sampling, Optimisation, Mixing, Augmentation):
    """The shared part of a training run: what is drawn, augmented, mixed, optimised. A method adds its own `Config`."""

    size: int = 256
    """Side of the cropped picture in pixels."""
    start_size: int = 0
    """Side used in the first half of the epochs (a cheaper start); 0 is `size` throughout."""
    enhance: tuple[str, ...] = ()
    """Named enhancements after the crop: clahe, graham, background, equalise, equalise_luma."""
    epochs: int = 12
    """Passes over the training visits."""
    batch_size: int = 16
    """Visits (pairs of eyes) per step and process."""
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
        self.check_balance()
        self.check_curriculum()
        self.check_mixing()
        for name, low in (("size", 32), ("epochs", 1), ("batch_size", 1), ("step_epochs", 1)):
            if getattr(self, name) < low:
                raise UsageError(f"--{name.replace('_', '-')} must be at least {low}, not {getattr(self, name)}")
        amounts = ("weight_decay", "lr_decay", "trunk_lr", "momentum", "clip")
        colours = ("brightness", "contrast", "saturation", "channel_contrast", "colour_noise", "sharpness")
        for name in (*amounts, *colours, "rotate", "zoom", "shift", "outside"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} must be a number from 0 on, not {getattr(self, name)}")
        for name in ("zoom", "brightness", "contrast", "saturation", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"--{name} must be in [0, 1), not {getattr(self, name)}")
        if self.stretch and not self.zoom:
            raise UsageError("--stretch draws --zoom for width and height apart, and --zoom is 0; raise it")
        if self.outside > 1:
            raise UsageError(f"--outside is a level in [0, 1], not {self.outside}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"--ema must be in [0, 1), not {self.ema}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"--lr must be a positive number, not {self.lr}")
        if self.start_size and not 32 <= self.start_size <= self.size:
            raise UsageError(f"--start-size must be 0 or between 32 and --size {self.size}, not {self.start_size}")
        self.check_optimisation()

    def side_at(self, epoch: int) -> int:
        """Side in pixels of the training pictures of an epoch (0-based)."""
        return self.start_size if self.start_size and epoch < self.epochs // 2 else self.size
