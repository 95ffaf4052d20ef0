"""Where the elements of a map sit on the picture: strides with padding do not leave them at the centres of a grid.

A 3 × 3 convolution of stride 2 and padding 1 reads pixels 0, 2, 4, ...: five of them in a row leave element 0 of a
stride-32 map at the centre of pixel 0, half an element up and left of where a regular grid has it. `placement` runs
a network once and carries along, for every value, where on the input its elements are centred (Dumoulin and Visin,
"A guide to convolution arithmetic for deep learning", 2016; Araujo, Norris and Sim, "Computing receptive fields of
convolutional neural networks", Distill 2019): a kernel of k taps, dilation d, stride s and padding p takes an axis with
first centre a and step t to

    a' = a + t · (d · (k - 1) / 2 - p),    t' = t · s.

Everything that mixes places without moving them (products, sums, attention, norms) keeps them. Where branches that
sit apart are added, a' is the middle of them and `spread` says how far apart they are; of joined stages the finest
decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from eyeground.batches import Batch
from eyeground.images.geometry import Placement


@dataclass(frozen=True)
class _Axis:
    """`count` elements centred at pixels `low` (to `high`, where branches differ) + i · `step`.

    `coarse`: enlarged from a coarser map, as the later stages of hypercolumns are.
    """

    low: float
    high: float
    step: float
    count: int
    coarse: bool = False

    def move(self, by: float, stride: float, count: int) -> _Axis:
        """Moved by so many of its elements, with every `stride`-th kept."""
        return _Axis(self.low + by * self.step, self.high + by * self.step, self.step * stride, count, self.coarse)


_Place = tuple[_Axis, _Axis]  # down, across
_PRODUCTS = ("bmm", "mm", "matmul", "baddbmm", "scaled_dot")
_MEANS = ("mean", "sum", "amax", "amin", "max", "var_mean", "var", "std", "logsumexp")
_UNKNOWN = ("grid_sampler", "im2col", "col2im", "pixel_shuffle", "pixel_unshuffle", "flip", "fft", "deform_conv")


class _Lost(Exception):
    """An operation whose effect on places is not known."""


_FOUND: WeakKeyDictionary[nn.Module, dict[int, Placement]] = WeakKeyDictionary()


def placement(network: nn.Module, size: int) -> Placement:
    """Where the evidence maps of a method's network sit.

    Found in a forward pass of one grey eye in eval mode, once for a network and size; the network stays as it is.

    Args:
        network: maps a `Batch` to an `Output`.
        size: side S of the pictures in pixels.
    """
    return _cached(network, size, lambda fundus: network(_visit(fundus)).evidence)


def feature_placement(trunk: nn.Module, size: int) -> Placement:
    """`placement` for a network of pictures, (n, 3, S, S) to a map (n, K, h, w): a trunk, say."""
    return _cached(trunk, size, lambda fundus: trunk(fundus[0, :1]))


def map_shift(network: nn.Module, size: int) -> tuple[float, float]:
    """(dx, dy) in elements, from a regular cell's centre to the true one; (0, 0) where it can't be established."""
    return placement(network, size).shift


def _cached(network: nn.Module, size: int, run: Callable[[Tensor], Tensor | None]) -> Placement:
    found = _FOUND.setdefault(network, {})
    if size not in found:
        found[size] = _traced(network, size, run)
    return found[size]


def _traced(network: nn.Module, size: int, run: Callable[[Tensor], Tensor | None]) -> Placement:
    at = next((value.device for value in network.parameters()), torch.device("cpu"))
    modes = {module: module.training for module in network.modules()}
    network.eval()
    tracer = _Tracer(size)
    try:
        with torch.inference_mode(False), torch.no_grad():
            result = tracer.run(run, torch.full((1, 2, 3, size, size), 0.5, device=at))
    finally:
        for module, mode in modes.items():
            module.training = mode
    if result is None:
        return Placement(why="there are no maps")
    return tracer.judge(result)


def _visit(fundus: Tensor) -> Batch:
    """A visit with the left eye alone."""
    seen = torch.tensor([[True, False]], device=fundus.device)
    none = fundus.new_zeros(1, 0)
    return Batch(fundus, seen, none, none.bool(), none[:, None], none[:, None].bool(), ("",))


class _Tracer(TorchDispatchMode):
    """Follows places through every operation."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.places: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def run(self, net: Callable[[Tensor], Tensor | None], pixels: Tensor) -> Tensor | None:
        axis = _Axis(0.0, 0.0, 1.0, self.size)
        self.places[pixels] = (axis, axis)
        with self:
            return net(pixels)

    def judge(self, result: Tensor) -> Placement:
        """What the places of the resulting map mean for a regular grid."""
        place = self.places.get(result)
        if place is None:
            return Placement(why="the map does not come from the pixels")
        try:
            if isinstance(place, _Lost):
                raise place
            down, across = _settle(place, result)
        except _Lost as error:
            return Placement(why=str(error))
        shift, stretch, spread = zip(*(_against_grid(axis, self.size) for axis in (across, down)), strict=True)
        return Placement(shift, stretch, spread)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        given = [(one, self.places[one]) for one in _tensors((*args, *(kwargs or {}).values())) if one in self.places]
        if given:
            for out in _tensors((result,)):
                place = self._after(name, args, given, out)
                if place is not None:
                    self.places[out] = place
        return result

    def _after(self, name: str, args: Any, given: list[tuple[Tensor, Any]], out: Tensor) -> Any:
        lost = next((place for _, place in given if isinstance(place, _Lost)), None)
        if lost is not None:
            return lost
        try:
            return _after(name, args, given, out, self.size)
        except _Lost as error:
            return error


def _after(name: str, args: Any, given: list[tuple[Tensor, _Place]], out: Tensor, size: int) -> _Place | None:
    """The place of an operation's result; None where it is one value for the whole picture."""
    value, place = given[0]
    if name in ("convolution", "cudnn_convolution", "mkldnn_convolution"):
        if out.dim() != 4 or (name == "convolution" and args[6]):
            raise _Lost(f"{name} of {out.dim() - 2} axes, or transposed")
        kernel = args[1].shape[2:]
        return _window(place, value, out, kernel, *args[3:6])
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel, padding = _pair(args[1]), _pair(args[3] if len(args) > 3 else 0)
        stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
        dilation = _pair(args[4]) if name.startswith("max") and len(args) > 4 else (1, 1)
        return _window(place, value, out, kernel, stride, padding, dilation)
    if "adaptive" in name or name in _MEANS:
        return _reduced(place, value, out)
    if name.startswith("upsample"):
        return _enlarged(name, args, _settle(place, value), out)
    if name.endswith("pad_nd") or "_pad2d" in name:
        return _padded(place, value, args[1])
    if name == "slice":
        return _sliced(place, value, args, out, size)
    if any(name.startswith(word) or word in name for word in _UNKNOWN):
        raise _Lost(f"the network uses '{name}', whose effect on places is not known")
    if any(word in name for word in _PRODUCTS):
        return place if len({_counts(other) for _, other in given}) > 1 else _merged([other for _, other in given])
    if name == "cat" and (axis := _axis_of(value, place, args[1] if len(args) > 1 else 0)) is not None:
        parts = [_Axis(one.low, one.high, one.step, out.shape[(-2, -1)[axis]]) for one in place]
        return (parts[0], place[1]) if axis == 0 else (place[0], parts[1])
    return _merged([other for _, other in given])


def _window(place: _Place, value: Tensor, out: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any) -> _Place:
    """After a sliding window; see the module's equation."""
    axes = zip(
        _settle(place, value), kernel, _pair(stride), _pair(padding), _pair(dilation), out.shape[-2:], strict=True
    )
    down, across = (axis.move(d * (k - 1) / 2 - p, s, n) for axis, k, s, p, d, n in axes)
    return down, across


def _settle(place: _Place, value: Tensor) -> _Place:
    """The place of a map (..., h, w) whose axes may be whole blocks of the place's elements (patch merging)."""
    found = []
    for axis, count in zip(place, value.shape[-2:], strict=True):
        if axis.count % count:
            raise _Lost(f"a map of {count} elements came from {axis.count} in a way that is not known")
        block = axis.count // count
        found.append(axis if block == 1 else axis.move((block - 1) / 2, block, count))
    return found[0], found[1]


def _reduced(place: _Place, value: Tensor, out: Tensor) -> _Place | None:
    """After a mean: None over places, as it was over channels; after adaptive pooling, blocks."""
    if out.shape[-2:] == _counts(place) or out.shape[1:3] == _counts(place):
        return place
    across_channels = value.shape[-2:] != _counts(place) and value.shape[1:3] != _counts(place)
    if across_channels and out.numel() >= place[0].count * place[1].count:
        return place  # tokens
    if out.dim() == 4 and out.shape[2] * out.shape[3] > 1 and value.shape[-2:] == _counts(place):
        return _settle(place, out)
    return None


def _enlarged(name: str, args: Any, place: _Place, out: Tensor) -> _Place:
    """After interpolation: cells on cells, or corners on corners."""
    corners = "nearest" not in name and bool(args[2])
    found = []
    for axis, count in zip(place, out.shape[-2:], strict=True):
        ratio = (axis.count - 1) / max(count - 1, 1) if corners else axis.count / count
        moved = axis.move(0.0 if corners else (ratio - 1) / 2, ratio, count)
        found.append(replace(moved, coarse=axis.coarse or count > axis.count))
    return found[0], found[1]


def _padded(place: _Place, value: Tensor, widths: Any) -> _Place:
    """After padding; `widths` name the last axis first."""
    axes = list(place)
    for position in range(len(widths) // 2):
        axis = _axis_of(value, place, -1 - position)
        before, after = widths[2 * position : 2 * position + 2]
        if axis is not None:
            axes[axis] = axes[axis].move(-before, 1, axes[axis].count + before + after)
        elif (before or after) and not value.shape[-2:] and not value.shape[1:3]:
            raise _Lost("padding of an axis that is not known")
    return axes[0], axes[1]


def _sliced(place: _Place, value: Tensor, args: Any, out: Tensor, size: int) -> _Place:
    """After a slice. Where two pictures of `size` lie side by side, the second is counted from its own edge."""
    dim = (args[1] if len(args) > 1 else 0) % value.dim()
    axis = _axis_of(value, place, dim)
    if axis is None:
        return place
    start = args[2] if len(args) > 2 and args[2] is not None else 0
    moved = place[axis].move(start % (value.shape[dim] + 1), args[4] if len(args) > 4 else 1, out.shape[dim])
    over = size * int((moved.low + moved.high) / 2 // size) if moved.low >= 0 else 0
    moved = _Axis(moved.low - over, moved.high - over, moved.step, moved.count)
    return (moved, place[1]) if axis == 0 else (place[0], moved)


def _axis_of(value: Tensor, place: _Place, dim: int) -> int | None:
    """Which of down (0) and across (1) a dimension is; None where it is neither, or the map is in another form."""
    dim %= value.dim()
    last = value.dim() - 2
    if value.shape[-2:] == _counts(place):
        return dim - last if dim >= last else None
    if value.dim() >= 4 and value.shape[1:3] == _counts(place):
        return dim - 1 if dim in (1, 2) else None
    return None


def _merged(places: Iterable[_Place]) -> _Place:
    """Several at the same elements: each axis from the first to the last of them.

    Maps enlarged from coarser ones say nothing beside one that was not: joined stages sit where the finest does.
    """
    places = list(places)
    every = [place for place in places if _counts(place) != (1, 1)] or places
    every = [place for place in every if not place[0].coarse] or every
    axes = []
    for same in zip(*every, strict=True):
        if len({(axis.step, axis.count) for axis in same}) > 1:
            raise _Lost("maps of different steps are added")
        low, high = min(axis.low for axis in same), max(axis.high for axis in same)
        axes.append(_Axis(low, high, same[0].step, same[0].count))
    return axes[0], axes[1]


def _against_grid(axis: _Axis, size: int) -> tuple[float, float, float]:
    """Shift, stretch and spread in cells of a regular grid over `size` pixels."""
    cell = size / axis.count
    half = (axis.count - 1) / 2
    middle = (axis.low + axis.high) / 2 + axis.step * half
    return (middle - (size - 1) / 2) / cell, abs(axis.step - cell) * half / cell, (axis.high - axis.low) / 2 / cell


def _counts(place: _Place) -> tuple[int, int]:
    return place[0].count, place[1].count


def _pair(value: Any) -> tuple[Any, Any]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[-1])


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found
