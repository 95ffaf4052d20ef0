"""Augmentation in two steps: `draw` samples what will happen into a record, `apply` does it without chance.

A mirrored left eye looks like a right eye. So a visit is mirrored as a whole: both photographs are flipped *and* the
eyes change places, labels with them; or laterality is made canonical: right eyes are always mirrored, never at random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from eyeground.batches import Batch

Laterality = Literal["swap", "canonical", "keep"]


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes. Zero everywhere and laterality 'keep' is the identity."""

    rotate: float = 20.0
    """Largest rotation, degrees either way."""
    zoom: float = 0.12
    """Largest relative change of scale, either way."""
    shift: float = 0.04
    """Largest shift, as a part of the picture's side."""
    brightness: float = 0.15
    """Largest relative change of brightness."""
    contrast: float = 0.15
    """Largest relative change of contrast about the photograph's mean."""
    saturation: float = 0.15
    """Largest relative change of colour saturation."""
    laterality: Laterality = "swap"
    """swap: half of the visits are mirrored and their eyes exchanged; canonical: right eyes mirrored; keep: neither."""
    stretch: bool = False
    """Draw `zoom` for width and height apart."""
    channel_contrast: float = 0.0
    """Largest relative change of each channel's own contrast: 0.5 is a factor between 1/1.5 and 1.5."""
    colour_noise: float = 0.0
    """Standard deviation of a shift of all colours along the principal axes of the photograph's own, as a part of their
    deviation along each (after Krizhevsky et al., NeurIPS 2012)."""
    sharpness: float = 0.0
    """Largest relative change of what is finer than a Gaussian of 1 pixel: 1 is between blurred away and doubled."""
    outside: float = 0.0
    """Level in [0, 1] of what comes into sight from outside the picture: 0.5 after --enhance graham or background."""


@dataclass(frozen=True)
class Draws:
    """What was drawn for B visits: mirrored bool (B,); per eye (B, E): angle in radians, zoom as a factor,
    shift (B, E, 2) as a part of the side, brightness, contrast and saturation as factors; stretch (B, E) is the
    height's zoom by the width's, channels (B, E, 3) factors of contrast, noise (B, E, 3) in standard deviations,
    sharpness a factor of the fine detail; `outside` (B, E) is not drawn, but the same for all."""

    mirrored: Tensor
    angle: Tensor
    zoom: Tensor
    shift: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    stretch: Tensor
    channels: Tensor
    noise: Tensor
    sharpness: Tensor
    outside: Tensor


def draw(visits: int, settings: Augmentation, generator: torch.Generator) -> Draws:
    """Samples for B visits, on the CPU: the same generator state gives the same draws for every device."""

    def within(limit: float, *shape: int) -> Tensor:
        return (torch.rand(visits, 2, *shape, generator=generator) * 2 - 1) * limit

    coin = torch.rand(visits, generator=generator) < 0.5
    still = torch.ones(visits, 2)
    drawn = Draws(
        mirrored=coin if settings.laterality == "swap" else torch.zeros(visits, dtype=torch.bool),
        angle=torch.deg2rad(within(settings.rotate)),
        zoom=1 + within(settings.zoom),
        shift=within(settings.shift, 2),
        brightness=1 + within(settings.brightness),
        contrast=1 + within(settings.contrast),
        saturation=1 + within(settings.saturation),
        stretch=still,
        channels=still[..., None].repeat(1, 1, 3),
        noise=torch.zeros(visits, 2, 3),
        sharpness=still,
        outside=settings.outside * still,
    )
    if settings.stretch:  # drawn only where asked for, and last: all else stays as it was
        drawn = replace(drawn, stretch=(1 + within(settings.zoom)) / drawn.zoom)
    if settings.channel_contrast:
        drawn = replace(drawn, channels=(1 + settings.channel_contrast) ** within(1.0, 3))
    if settings.colour_noise:
        normal = torch.randn(visits, 2, 3, generator=generator)
        drawn = replace(drawn, noise=settings.colour_noise * normal)
    if settings.sharpness:
        drawn = replace(drawn, sharpness=1 + within(settings.sharpness))
    return drawn


def mirror(batch: Batch, which: Tensor) -> Batch:
    """Mirrors whole visits: pixels flipped left to right and the two eyes exchanged, with all that belongs to them.

    Args:
        which: bool (B,). Applying it twice gives the batch back.
    """

    def swap(values: Tensor) -> Tensor:
        return torch.where(which.view(-1, *[1] * (values.dim() - 1)), values.flip(1), values)

    return replace(
        batch,
        fundus=torch.where(which.view(-1, 1, 1, 1, 1), batch.fundus.flip(1, 4), batch.fundus),
        seen=swap(batch.seen),
        eye_labels=swap(batch.eye_labels),
        eye_known=swap(batch.eye_known),
        findings=None if batch.findings is None else swap(batch.findings),
    )


def canonical(batch: Batch, laterality: Laterality) -> Batch:
    """With laterality 'canonical' mirrors every right eye in place, so that all discs lie on the same side."""
    if laterality != "canonical":
        return batch
    return replace(batch, fundus=torch.stack([batch.fundus[:, 0], batch.fundus[:, 1].flip(3)], 1))


def apply(batch: Batch, draws: Draws, size: int | None = None) -> Batch:
    """Does what was drawn. `size` is the side of the result in pixels (default: as it came)."""
    device = batch.fundus.device
    batch = mirror(batch, draws.mirrored.to(device))
    seen = batch.seen
    pixels = batch.fundus[seen]
    if len(pixels) == 0:
        return batch

    def of_seen(values: Tensor) -> Tensor:
        return values.to(device)[seen]

    outside = of_seen(draws.outside).view(-1, 1, 1, 1) if draws.outside.any() else None
    pixels = pixels if outside is None else pixels - outside
    zoom = torch.stack([of_seen(draws.zoom), of_seen(draws.zoom * draws.stretch)], 1)
    pixels = _warp(pixels, of_seen(draws.angle), zoom, of_seen(draws.shift), size or pixels.shape[-1])
    pixels = pixels if outside is None else pixels + outside
    pixels = _colour(pixels, of_seen(draws.brightness), of_seen(draws.contrast), of_seen(draws.saturation))
    if (draws.channels != 1).any() or draws.noise.any():
        pixels = _channels(pixels, of_seen(draws.channels), of_seen(draws.noise))
    if (draws.sharpness != 1).any():
        pixels = _sharpen(pixels, of_seen(draws.sharpness))
    fundus = pixels.new_zeros((*seen.shape, *pixels.shape[1:]))
    fundus[seen] = pixels
    return replace(batch, fundus=fundus)


def _warp(pixels: Tensor, angle: Tensor, zoom: Tensor, shift: Tensor, size: int) -> Tensor:
    """Rotates, scales by zoom (n, 2) (width, height) and shifts (n, 3, H, W) about the centre, bilinear, 0 outside, to
    (n, 3, size, size)."""
    cos, sin = torch.cos(angle)[:, None] / zoom, torch.sin(angle)[:, None] / zoom
    across = torch.stack([cos[:, 0], -sin[:, 1], 2 * shift[:, 0]], 1)
    down = torch.stack([sin[:, 0], cos[:, 1], 2 * shift[:, 1]], 1)
    theta = torch.stack([across, down], 1)
    if size < pixels.shape[-1]:  # shrinking by sampling alone would alias
        pixels = F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)
    grid = F.affine_grid(theta, [len(pixels), 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _colour(pixels: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Brightness, contrast about the mean of the lit pixels, saturation about grey; black stays black."""
    factor = (1, 1, 1)
    lit = (pixels.amax(1, keepdim=True) > 0.04).to(pixels.dtype)
    pixels = pixels * brightness.view(-1, *factor)
    mean = (pixels * lit).sum((2, 3), keepdim=True) / lit.sum((2, 3), keepdim=True).clamp(min=1)
    pixels = torch.where(lit > 0, mean + (pixels - mean) * contrast.view(-1, *factor), pixels)
    grey = (pixels * pixels.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return (grey + (pixels - grey) * saturation.view(-1, *factor)).clamp(0, 1)


def _sharpen(pixels: Tensor, factor: Tensor) -> Tensor:
    """The photographs (n, 3, H, W) blurred by a Gaussian of 1 pixel, and `factor` (n,) times what that took away."""
    at = torch.arange(-3.0, 4.0, device=pixels.device, dtype=pixels.dtype)
    weights = torch.exp(-(at**2) / 2)
    weights = (weights / weights.sum()).view(1, 1, 1, -1).expand(3, 1, 1, -1)
    pixels = pixels.contiguous(memory_format=torch.channels_last)  # three times as fast on a CPU
    across = F.conv2d(F.pad(pixels, (3, 3, 0, 0), mode="replicate"), weights, groups=3)
    blurred = F.conv2d(F.pad(across, (0, 0, 3, 3), mode="replicate"), weights.transpose(2, 3), groups=3)
    return (blurred + factor.view(-1, 1, 1, 1) * (pixels - blurred)).clamp(0, 1)


def _channels(pixels: Tensor, contrast: Tensor, noise: Tensor) -> Tensor:
    """Contrast of every channel about its mean over the lit pixels, then one colour shift for all of them.

    Args:
        contrast, noise: (n, 3). The shift is L · noise, with L Lᵀ the covariance of the lit pixels' colours: for normal
            noise that is Krizhevsky's Σ_i α_i λ_i p_i with λ_i the standard deviation along the axis p_i.
    """
    lit = (pixels.amax(1, keepdim=True) > 0.04).to(pixels.dtype)
    count = lit.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (pixels * lit).sum((2, 3), keepdim=True) / count
    away = (pixels - mean) * lit
    covariance = torch.einsum("nchw,ndhw->ncd", away, away) / count[:, :, 0]
    tiny = 1e-8 * torch.eye(3, device=pixels.device, dtype=pixels.dtype)
    shift = (torch.linalg.cholesky(covariance + tiny) @ noise[..., None])[..., None]  # (n, 3, 1, 1)
    changed = mean + away * contrast[..., None, None] + shift
    return torch.where(lit > 0, changed, pixels).clamp(0, 1)
