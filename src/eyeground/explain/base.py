"""What explainers share: one pass of any method with its trunks watched, and gradients put back to visits and eyes.

Trunks are the modules whose name begins with `trunk` (where there are none, `stages`). What a trunk gives is told
apart by how it was called: with all seen eyes, with those of one side, or with both eyes side by side in one picture.
Maps of trunks that see different eyes complete each other; those of trunks that see the same eyes are joined as if
they were more channels of one map, which is what CAM and its kin do with the layers of one net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.explain import Target
from eyeground.nets.eyes import spread


@dataclass(frozen=True)
class Call:
    """One run of a trunk on m pictures: `pixels` (m, 3, H, W), what it gave (m, K, h, w), and of which eyes.

    `mask` bool (B, E) are the eyes whose rows these are, in their order; `wide`: m is B, both eyes side by side.
    """

    pixels: Tensor
    given: Tensor
    mask: Tensor
    wide: bool


@dataclass(frozen=True)
class Pass:
    """One run of a network. `logits`: (B, E, C) where `eyes`, else (B, C); `batch` holds the pixels as they went in.

    `apart`: no eye's logit depends on the other eye, so that one backward pass serves both.
    """

    logits: Tensor
    batch: Batch
    calls: tuple[Call, ...]
    eyes: bool
    apart: bool

    def gradients(self, label: int, inputs: Sequence[Tensor], place: Callable[[Sequence[Tensor]], Tensor]) -> Tensor:
        """Gradients of every target logit by its own eye's part of `inputs`, placed: (B, E, ...).

        Args:
            inputs: tensors of the graph. place: brings their gradients to (B, E, ...).
        """
        seen = self.batch.seen
        if not self.eyes:
            return place(_slopes(self.logits[:, label], inputs))
        if self.apart:
            return place(_slopes(self.logits[..., label][seen], inputs))
        sides = [place(_slopes(self.logits[:, e, label][seen[:, e]], inputs)) for e in range(seen.shape[1])]
        return torch.stack([side[:, e] for e, side in enumerate(sides)], 1)

    def features(self) -> Tensor:
        """The trunks' maps, (B, E, K, h, w), NaN where an eye is not seen, detached."""
        return self.joined([call.given.detach() for call in self.calls])

    def feature_gradients(self, label: int) -> Tensor:
        """dy/dA of a label's target logits, (B, E, K, h, w) in the order of `features`, NaN where not seen."""
        return self.gradients(label, [call.given for call in self.calls], self.joined)

    def pixel_gradients(self, label: int) -> Tensor:
        """dy/dx of a label's target logits by the pixels in [0, 1], (B, E, 3, H, W)."""
        return self.gradients(label, [self.batch.fundus], lambda found: found[0])

    def joined(self, values: Sequence[Tensor]) -> Tensor:
        """One tensor (m, K, h, w) per call to (B, E, sum of K, h, w)."""
        return join(self.calls, values)


def join(calls: Sequence[Call], values: Sequence[Tensor]) -> Tensor:
    """One tensor (m, K, h, w) per call to (B, E, sum of K, h, w), NaN where an eye is not seen."""
    parts: list[tuple[Tensor, Tensor]] = []  # the eyes of a part, and its values
    for call, value in zip(calls, values, strict=True):
        placed = torch.stack(value.chunk(2, -1), 1) if call.wide else spread(value, call.mask)
        for number, (mask, held) in enumerate(parts):
            if held.shape == placed.shape and not (mask & call.mask).any():
                parts[number] = mask | call.mask, torch.where(call.mask[:, :, None, None, None], placed, held)
                break
        else:
            parts.append((call.mask, placed))
    grids = {tuple(part.shape[3:]) for _, part in parts}
    if len(grids) > 1:
        raise UsageError(f"the trunks' maps have different grids {sorted(grids)}, which can't be joined; use occlusion")
    return torch.cat([part for _, part in parts], 2)


def run(network: nn.Module, batch: Batch, target: Target, depth: Literal["features", "pixels"]) -> Pass:
    """Runs a network with gradients.

    Args:
        target: as of `explain`.
        depth: `features`: the trunks run without a graph and their maps are where it starts; `pixels`: it starts at
            the pixels.

    Raises:
        UsageError: no trunk where features are asked for, a target that the method does not have, a score that no
            gradient reaches, or a trunk whose pictures can't be told apart.
    """
    calls: list[Call] = []

    def forward(name: str, own: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
        if depth == "features":
            with torch.no_grad():
                given = own(pixels).detach()
            given.requires_grad_()
        else:
            given = own(pixels)
        mask, wide = rows_of(name, pixels, fresh)
        if wide and given.shape[-1] % 2:
            raise UsageError(
                f"a map of both eyes side by side has {given.shape[-1]} columns and can't be halved; use another --size"
            )
        calls.append(Call(pixels, given, mask, wide))
        return given

    trunks = trunks_of(network)
    if depth == "features" and not trunks:
        raise UsageError("the network has no module called trunk, so no feature maps; use occlusion or sensitivity")
    with torch.inference_mode(False), torch.enable_grad():
        fundus = batch.fundus.detach().clone().requires_grad_(depth == "pixels")
        fresh = replace(batch, fundus=fundus, seen=batch.seen.clone())
        with replaced({(module, "forward"): partial(forward, name) for name, module in trunks.items()}):
            output: Output = network(fresh)
        logits, eyes = logits_of(output, target)
        if not logits.requires_grad:
            raise UsageError("no gradient reaches the score from here; use ablation_cam or occlusion")
        made = Pass(logits, fresh, tuple(calls), eyes, True)
        return replace(made, apart=not eyes or apart(made))


def logits_of(output: Output, target: Target) -> tuple[Tensor, bool]:
    """The logits to explain, and whether they are the eyes'."""
    if target == "visit" or (target == "auto" and output.eye_logits is None):
        return output.visit_logits, False
    if output.eye_logits is None:
        raise UsageError("the method gives no score of a single eye; use target 'visit'")
    return output.eye_logits, True


def trunks_of(network: nn.Module) -> dict[str, nn.Module]:
    """Modules called `trunk...` that are not inside of another, by name; where there are none, `stages`."""
    found: dict[str, nn.Module] = {}
    for word in ("trunk", "stages"):
        for name, module in network.named_modules():
            inside = any(name.startswith(f"{other}.") for other in found)
            if name.rsplit(".", 1)[-1].startswith(word) and not inside and not found.get(name):
                found[name] = module
        if found:
            break
    return found


def rows_of(name: str, pixels: Tensor, batch: Batch) -> tuple[Tensor, bool]:
    """Which eyes the pictures (m, 3, H, W) given to a module are: their mask (B, E), and whether side by side."""
    seen, rows = batch.seen, len(pixels)
    if rows == len(seen) and pixels.shape[-1] == 2 * batch.fundus.shape[-1]:
        return seen, True
    if rows == int(seen.sum()):
        return seen, False
    side = int("right" in name)
    mask = seen & (torch.arange(seen.shape[1], device=seen.device) == side)
    if rows != int(mask.sum()):
        raise UsageError(f"'{name}' took {rows} pictures of {int(seen.sum())} eyes; nothing tells whose they are")
    return mask, False


@contextmanager
def replaced(calls: dict[tuple[Any, str], Callable[..., Tensor]]) -> Iterator[None]:
    """Calls `new(own, ...)` in the place of each object's method `own`; puts all back at the end."""
    kept = [(owner, name, name in vars(owner), getattr(owner, name)) for owner, name in calls]
    try:
        for (owner, name), new in calls.items():
            object.__setattr__(owner, name, partial(new, getattr(owner, name)))
        yield
    finally:
        for owner, name, was_own, value in kept:
            if was_own:
                object.__setattr__(owner, name, value)
            else:
                vars(owner).pop(name, None)


def apart(made: Pass) -> bool:
    """Whether no eye's logits depend on what the other eye gave (checked by gradients, on visits with two eyes)."""
    both = made.batch.seen.all(1)
    if not both.any():
        return True
    inputs = [call.given for call in made.calls] or [made.batch.fundus]
    weight = torch.linspace(1, 2, made.logits.shape[-1], device=made.logits.device)
    for e in range(2):
        found = _slopes(made.logits[both, e] @ weight, inputs)
        placed = made.joined(found) if made.calls else found[0]
        if placed[both, 1 - e].any():
            return False
    return True


def _slopes(scores: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of the sum of `scores`; zeros for inputs that have no part in it."""
    found = torch.autograd.grad(scores.sum(), list(inputs), retain_graph=True, allow_unused=True)
    if all(slope is None for slope in found):
        raise UsageError("no gradient reaches the score from here; use ablation_cam or occlusion")
    return [torch.zeros_like(x) if slope is None else slope for slope, x in zip(found, inputs, strict=True)]
