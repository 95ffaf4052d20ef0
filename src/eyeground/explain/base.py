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
from eyeground.nets.placement import Placement, feature_placement


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

    def sides(self) -> list[slice]:
        """What of the axis E may be changed at once, when the score is asked anew: both eyes where they are apart."""
        return [slice(0, 2)] if self.eyes and self.apart else [slice(0, 1), slice(1, 2)]

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
    parts: list[Tensor] = []
    for call, value, part in zip(calls, values, _parts(calls), strict=True):
        placed = torch.stack(value.chunk(2, -1), 1) if call.wide else spread(value, call.mask)
        if part == len(parts):
            parts.append(placed)
        else:
            parts[part] = torch.where(call.mask[:, :, None, None, None], placed, parts[part])
    grids = {tuple(part.shape[3:]) for part in parts}
    if len(grids) > 1:
        raise UsageError(f"the trunks' maps have different grids {sorted(grids)}, which can't be joined; use occlusion")
    return torch.cat(parts, 2)


def taken_apart(calls: Sequence[Call], joined: Tensor) -> list[Tensor]:
    """The inverse of `join` for the trunks' maps: (B, E, sum of K, h, w) to one tensor (m, K, h, w) per call."""
    found: list[Tensor] = []
    starts: list[int] = [0]
    for call, part in zip(calls, _parts(calls), strict=True):
        if part == len(starts) - 1:
            starts.append(starts[-1] + call.given.shape[1])
        values = joined[:, :, starts[part] : starts[part + 1]]
        found.append(torch.cat(values.unbind(1), -1) if call.wide else values[call.mask])
    return found


def _parts(calls: Sequence[Call]) -> list[int]:
    """Which part of the joined channels each call belongs to: calls that see different eyes share one."""
    parts: list[tuple[tuple[int, ...], Tensor]] = []  # shape of a map, and the eyes so far
    found = []
    for call in calls:
        shape = tuple(call.given.shape[1:])
        fits = [i for i, (held, mask) in enumerate(parts) if held == shape and not (mask & call.mask).any()]
        number = fits[0] if fits else len(parts)
        parts[number : number + 1] = [(shape, call.mask | parts[number][1] if fits else call.mask)]
        found.append(number)
    return found


def run(
    network: nn.Module,
    batch: Batch,
    target: Target,
    depth: Literal["features", "pixels"],
    apart: bool | None = None,
) -> Pass:
    """Runs a network with gradients.

    Args:
        target: as of `explain`.
        depth: `features`: the trunks run without a graph and their maps are where it starts; `pixels`: it starts at
            the pixels.
        apart: whether eyes are, where it is known from an earlier pass.

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
        return replace(made, apart=(not eyes or _apart(made)) if apart is None else apart)


@torch.no_grad()
def rerun(network: nn.Module, made: Pass, given: Sequence[Tensor]) -> Tensor:
    """The logits of `made`'s batch and target if its trunks' calls had given these maps instead; no trunk runs."""
    maps = iter(given)
    trunks = {(module, "forward"): lambda own, pixels: next(maps) for module in trunks_of(network).values()}
    with replaced(trunks):
        output: Output = network(made.batch)
    return logits_of(output, "eye" if made.eyes else "visit")[0]


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


def features_placement(network: nn.Module, size: int) -> Placement:
    """Where maps on the trunks' grid sit for pictures of `size`; `why` says so where the trunks do not agree."""
    found = [feature_placement(trunk, size) for trunk in trunks_of(network).values()]
    if found and all(one == found[0] for one in found):
        return found[0]
    return Placement(why="where the elements of the trunks' maps sit is not known; they are drawn on a regular grid")


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


def _apart(made: Pass) -> bool:
    """Whether no eye's logits depend on what the other eye gave (checked by gradients, on visits with two eyes)."""
    both = made.batch.seen.all(1)
    if not both.any():
        return True
    inputs = [call.given for call in made.calls] or [made.batch.fundus]
    weight = torch.linspace(1, 2, made.logits.shape[-1]).to(made.logits)
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
