"""What feeds a trunk's down-sampling operators: the activations whose sensitivity the third pass makes sparse.

A down-sampling operator is a convolution or a pooling window with a stride over 1, also one that blurs first. Deep
image mining holds these for what leaves grids in sensitivity maps (Quellec et al., MIA 39:178-193, 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn

from eyeground.nets.trunk import Trunk

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def downsamples(module: nn.Module) -> bool:
    """Whether a module is an operator that makes maps smaller."""
    if not isinstance(module, WINDOWS) and not type(module).__name__.startswith("BlurPool"):
        return False
    stride: Any = module.stride
    return bool(max(stride if isinstance(stride, tuple | list) else (stride,)) > 1)


@contextmanager
def feeding(trunk: Trunk, which: Literal["input", "all"]) -> Iterator[list[Tensor]]:
    """While the block runs, every forward pass of the trunk appends what feeds its down-sampling operators.

    Args:
        which: the input alone, or all.

    Returns:
        a list that fills: the normalised pictures (n, 3, H, W), made ready to be differentiated by, then activations
        (n, c, h, w) in the order of the pass. One that feeds several operators is there once. Values do not change.
    """
    found: list[Tensor] = []

    def enter(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        picture = output if output.requires_grad else output.detach().requires_grad_()
        found.append(picture)
        return picture

    def meet(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        if given[0].dim() == 4 and all(given[0] is not other for other in found):
            found.append(given[0])

    hooks = [trunk.entry.register_forward_hook(enter)]
    if which == "all":
        hooks += [module.register_forward_pre_hook(meet) for module in trunk.body.modules() if downsamples(module)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
