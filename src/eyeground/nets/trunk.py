"""One adaptor over timm: every trunk promises a feature map, its stride, its channels and its preprocessing record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from timm.models import resolve_pretrained_cfg
from torch import Tensor, nn
from torch.nn import functional as F

from eyeground.errors import UsageError, nearest


@dataclass(frozen=True)
class TrunkRecord:
    """Where a trunk comes from and what its input must look like: RGB in [0, 1], normalised by mean and std inside."""

    name: str
    weights: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Trunk(nn.Module):
    """(n, 3, H, W) RGB in [0, 1] -> feature map (n, K, h, w), whatever the architecture calls its axes.

    Attributes: `channels` K, `record`. Normalisation happens inside and is part of the weights: a bundle or an exported
    graph can't lose it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module, channels: int, record: TrunkRecord) -> None:
        super().__init__()
        self.body, self.channels, self.record = body, channels, record
        self.entry = nn.Identity()  # the normalised picture passes here, for those who differentiate by it
        self.channels_last = getattr(body, "output_fmt", "NCHW") == "NHWC"
        self.register_buffer("mean", torch.tensor(record.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(record.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        found: Any = self.body
        normal = self.entry((pixels - self.mean) / self.std)
        if not hasattr(found, "forward_features"):
            return self._hypercolumns(found(normal))
        features: Tensor = found.forward_features(normal)
        if features.dim() == 3:  # tokens (n, prefix + h·w, K) of a square picture
            tokens = features[:, int(getattr(self.body, "num_prefix_tokens", 0)) :]
            side = round(tokens.shape[1] ** 0.5)
            features = tokens.transpose(1, 2).reshape(len(tokens), self.channels, side, side)
        elif self.channels_last or features.shape[1] != self.channels:
            features = features.permute(0, 3, 1, 2)
        return features

    def _hypercolumns(self, stages: list[Tensor]) -> Tensor:
        """The maps of several stages, finest first, enlarged to the first and joined: (n, sum of K, h, w)."""
        maps = [stage.permute(0, 3, 1, 2) if self.channels_last else stage for stage in stages]
        size = maps[0].shape[2:]
        enlarged = [F.interpolate(coarse, size, mode="bilinear", align_corners=False) for coarse in maps[1:]]
        return torch.cat([maps[0], *enlarged], 1)


def make_trunk(name: str, weights: str, size: int, stages: tuple[int, ...] = ()) -> Trunk:
    """Builds a trunk by its timm name.

    Args:
        name: any timm architecture that gives a feature map or tokens.
        weights: 'none', 'imagenet' (timm's own, downloaded once), or the path of a safetensors file in timm's names;
            its metadata `mean` and `std` (comma-separated) win over timm's record.
        size: side of the input in pixels; needed by trunks with a fixed grid.
        stages: strides of the stages whose maps are read, such as (8, 16), joined at the finest (hypercolumns:
            Hariharan et al., CVPR 2015); later stages are left away. Empty: the last stage, whose stride is mostly 32.

    Raises:
        UsageError: an unknown name, weights that are missing, unreachable or of another architecture, a stage that
            the trunk does not have.
    """
    if not timm.is_model(name):
        raise UsageError(f"no trunk '{name}' in timm{nearest(name, timm.list_models())}")
    extra: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
    if timm.get_pretrained_cfg(name, allow_unregistered=True) and _fixed_grid(name):
        extra["img_size"] = size
    if stages:
        extra = {"features_only": True, "out_indices": _stages(name, stages)}
    overlay: dict[str, Any] = {}
    if weights not in ("none", "imagenet"):
        overlay = _file_record(Path(weights))
    try:
        body: Any = timm.create_model(
            name, pretrained=weights != "none", pretrained_cfg_overlay=overlay or None, **extra
        )
    except (TypeError, AssertionError) as error:
        raise UsageError(f"trunk '{name}' does not give a feature map this way: {error}") from error
    except (RuntimeError, KeyError, SafetensorError, ValueError) as error:
        if weights == "none":
            raise UsageError(f"trunk '{name}' can't be built: {error}") from error
        raise UsageError(f"{weights} does not fit trunk '{name}': {str(error).splitlines()[0]}") from error
    except OSError as error:
        text = f"ImageNet weights of '{name}' can't be fetched; give --trunk-weights FILE.safetensors or none"
        raise UsageError(f"{text} ({type(error).__name__})") from error
    if hasattr(body, "pre_logits"):  # VGG keeps its dense layers, which a feature map never reaches
        body.pre_logits = nn.Identity()
    config = resolve_pretrained_cfg(name, pretrained_cfg_overlay=overlay or None)
    record = TrunkRecord(name, Path(weights).name, tuple(config.mean), tuple(config.std))
    return Trunk(body, sum(body.feature_info.channels()) if stages else int(body.num_features), record)


def _stages(name: str, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The last stage of each of these strides, finest first."""
    try:
        whole: Any = timm.create_model(name, features_only=True)
        strides: list[int] = whole.feature_info.reduction()
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        raise UsageError(f"trunk '{name}' does not give the maps of its stages; leave --stages out") from error
    last = {stride: index for index, stride in enumerate(strides)}
    for stride in wanted:
        if stride not in last:
            raise UsageError(f"trunk '{name}' has no stage with stride {stride}; it has {', '.join(map(str, last))}")
    return tuple(sorted({last[stride] for stride in wanted}))


def _fixed_grid(name: str) -> bool:
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.fixed_input_size)


def _file_record(path: Path) -> dict[str, Any]:
    """The pretrained configuration that a weights file asks for."""
    if not path.is_file():
        raise UsageError(f"no weights file {path}; --trunk-weights takes imagenet, none or a safetensors file")
    overlay: dict[str, Any] = {"file": str(path)}
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise UsageError(f"{path} is not a safetensors file: {error}") from error
    for key in ("mean", "std"):
        if key in metadata:
            overlay[key] = tuple(float(part) for part in metadata[key].split(","))
    return overlay
