"""One adaptor over timm: every trunk promises a feature map, its stride, its channels and its preprocessing record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

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
        self.register_buffer("mean", torch.tensor(record.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(record.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.body.forward_features((pixels - self.mean) / self.std)  # type: ignore[operator]
        if features.dim() == 3:  # tokens (n, prefix + h·w, K) of a square picture
            tokens = features[:, int(getattr(self.body, "num_prefix_tokens", 0)) :]
            side = round(tokens.shape[1] ** 0.5)
            features = tokens.transpose(1, 2).reshape(len(tokens), self.channels, side, side)
        elif getattr(self.body, "output_fmt", "NCHW") == "NHWC" or features.shape[1] != self.channels:
            features = features.permute(0, 3, 1, 2)
        return features


def make_trunk(name: str, weights: str, size: int) -> Trunk:
    """Builds a trunk by its timm name.

    Args:
        name: any timm architecture that gives a feature map or tokens.
        weights: 'none', 'imagenet' (timm's own, downloaded once), or the path of a safetensors file in timm's names;
            its metadata `mean` and `std` (comma-separated) win over timm's record.
        size: side of the input in pixels; needed by trunks with a fixed grid.

    Raises:
        UsageError: an unknown name, weights that are missing, unreachable or of another architecture.
    """
    if not timm.is_model(name):
        raise UsageError(f"no trunk '{name}' in timm{nearest(name, timm.list_models())}")
    extra: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
    if timm.get_pretrained_cfg(name, allow_unregistered=True) and _fixed_grid(name):
        extra["img_size"] = size
    overlay: dict[str, Any] = {}
    if weights not in ("none", "imagenet"):
        overlay = _file_record(Path(weights))
    try:
        body: Any = timm.create_model(
            name, pretrained=weights != "none", pretrained_cfg_overlay=overlay or None, **extra
        )
    except TypeError as error:
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
    config = body.pretrained_cfg
    record = TrunkRecord(name, Path(weights).name, tuple(config["mean"]), tuple(config["std"]))
    return Trunk(body, int(body.num_features), record)


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
