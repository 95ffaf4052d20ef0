"""Evidence maps as colours, on one absolute scale.

An evidence map (h, w) is in logits (with mean pooling its mean is the eye's logit), so the same value means the same
support in every map, eye and patient. Nothing here stretches a map to its own range: a healthy eye stays cold.

The ramp runs from deep blue to pale cyan. Blue is the opponent of the fundus' orange and red under normal sight as
under deuteranopia and protanopia, and unlike yellow, white or red it can't be taken for a disc, an exudate or blood.
Its lightness (CIE L*) rises evenly, so the order survives grey printing and every colour blindness.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from eyeground.images.geometry import Geometry

SCALE = 10.0
"""Logits drawn at full strength where a bundle does not say otherwise.

An eye whose mean is 0 with an eighth of its area in evidence on a ground of -2 needs +14 there, so strong places of
strong maps lie around 10; evidence of 2 or 3 all over a picture still shows.
"""

_STOPS = ("#0c1f78", "#1450d2", "#0f97ee", "#25d3fa", "#8cfaff")
_SMOOTH = 512
_COMPRESSION = 2
"""zlib's level of PNG files: half the time of level 4, and heatmaps on a photograph a seventh larger."""


def _ramp() -> NDArray[np.uint8]:
    """The 256 colours, RGBA uint8 (256, 4): straight lines in CIE Lab between the stops, evenly spaced in L*."""
    rgb = np.array([[int(stop[i : i + 2], 16) / 255 for i in (1, 3, 5)] for stop in _STOPS], np.float32)
    lab = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2Lab)[0]
    lightness = np.linspace(lab[0, 0], lab[-1, 0], 256)
    steps = np.stack([np.interp(lightness, lab[:, 0], lab[:, k]) for k in range(3)], axis=1).astype(np.float32)
    colours = np.clip(cv2.cvtColor(steps[None], cv2.COLOR_Lab2RGB)[0], 0, 1) * 255
    alpha = 255 * np.linspace(0, 1, 256) ** 0.6  # steeper near 0, so that wide weak evidence is seen
    return np.column_stack([colours, alpha]).round().astype(np.uint8)


RAMP = _ramp()
"""RGBA uint8 (256, 4), from transparent (no evidence) to opaque (the scale's end and beyond)."""


def paint(values: NDArray[np.floating], scale: float = SCALE) -> NDArray[np.uint8]:
    """Colours of an evidence map.

    Args:
        values: float (h, w), logits; not finite counts as no evidence.
        scale: logit drawn at full strength.

    Returns:
        RGBA uint8 (h, w, 4): transparent at 0 and below, rising, opaque from `scale` on.
    """
    if values.ndim != 2 or not scale > 0:
        raise ValueError(f"paint takes a map (h, w) and a scale above 0, not shape {values.shape} and {scale}")
    return RAMP[_steps(values, scale)]


def _steps(values: NDArray[np.floating], scale: float) -> NDArray[np.uint8]:
    """Which of the ramp's colours each place of a map has, uint8 (h, w)."""
    share = np.clip(np.nan_to_num(values, nan=0.0) / scale, 0, 1)
    return (share * 255).round().astype(np.uint8)


def smooth(
    values: NDArray[np.floating], height: int, width: int, shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float32]:
    """Enlarges a map (h, w) to (height, width) without inventing evidence.

    Monotone cubic along each axis (Fritsch and Carlson 1980, with their harmonic mean of the slopes): passes through
    the cells' values at the cells' centres and never leaves the range of the neighbouring cells, unlike plain bicubic.
    `shift` (dx, dy) in cells is the way from the cells' centres to where their values belong (`nets.placement`).
    """
    rows = _smooth_rows(np.asarray(values, np.float32), height, shift[1])
    return np.ascontiguousarray(_smooth_rows(rows.T, width, shift[0]).T)


def _smooth_rows(values: NDArray[np.float32], length: int, shift: float) -> NDArray[np.float32]:
    count = len(values)
    if count == 1:
        return np.repeat(values, length, axis=0)
    steps = np.diff(values, axis=0)
    product = steps[:-1] * steps[1:]
    total = np.where(product > 0, steps[:-1] + steps[1:], 1)
    slopes = np.zeros_like(values)
    slopes[1:-1] = np.where(product > 0, 2 * product / total, 0)
    at = np.clip((np.arange(length) + 0.5) * count / length - 0.5 - shift, 0, count - 1)  # centre on centre
    left = np.minimum(at.astype(int), count - 2)
    t = (at - left)[:, None].astype(np.float32)
    low, high = values[left], values[left + 1]
    bend = t * (1 - t) * ((1 - t) * slopes[left] - t * slopes[left + 1])
    return np.clip(low + (high - low) * t * t * (3 - 2 * t) + bend, np.minimum(low, high), np.maximum(low, high))


def overlay_png(
    values: NDArray[np.floating],
    geometry: Geometry,
    max_side: int,
    scale: float = SCALE,
    shift: tuple[float, float] = (0.0, 0.0),
) -> bytes:
    """The heatmap alone as a PNG with transparency, over the view's square, without metadata.

    Its side is the crop's in original pixels, at most `max_side`: laid over the crop it fits exactly.
    """
    side = max(1, min(max_side, round(geometry.side)))
    return painted_png(smooth(values, side, side, shift), scale)


def draw_on_original(
    pixels: NDArray[np.uint8],
    values: NDArray[np.floating],
    geometry: Geometry,
    opacity: float,
    scale: float = SCALE,
    shift: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """The whole photograph with the heatmap on it.

    Args:
        pixels: RGB uint8 (height, width, 3), the original.
        values: evidence map float (h, w) over the view's square.
        geometry: places the square on the original.
        opacity: 0 (photograph alone) to 1.
        scale: logit drawn at full strength.
        shift: (dx, dy) in cells of the map, as in `smooth`.

    Returns:
        RGB uint8 (height, width, 3).
    """
    if pixels.shape[:2] != (geometry.height, geometry.width):
        raise ValueError(f"the photograph is {pixels.shape[:2]}, its geometry {(geometry.height, geometry.width)}")
    side = max(1, min(_SMOOTH, round(geometry.side)))
    placed = geometry.place(smooth(values, side, side, shift))
    warm = placed > 0  # the only pixels that change; a large photograph has few of them
    drawn = pixels.copy()
    drawn[warm] = blend(pixels[warm][None], paint(placed[warm][None], scale), opacity)[0]
    return drawn


def blend(pixels: NDArray[np.uint8], colours: NDArray[np.uint8], opacity: float) -> NDArray[np.uint8]:
    """RGBA colours (H, W, 4) over RGB pixels (H, W, 3), their alpha times `opacity`."""
    alpha = colours[..., 3:].astype(np.float32) * (opacity / 255)
    mixed = pixels + (colours[..., :3].astype(np.float32) - pixels) * alpha
    return np.clip(mixed.round(), 0, 255).astype(np.uint8)


def painted_png(values: NDArray[np.floating], scale: float = SCALE) -> bytes:
    """What `paint` gives, as a PNG without metadata. The ramp is its palette, which halves the file."""
    picture, stream = Image.fromarray(_steps(values, scale), "P"), io.BytesIO()
    picture.putpalette(RAMP[:, :3].tobytes())
    picture.save(stream, "PNG", compress_level=_COMPRESSION, transparency=RAMP[:, 3].tobytes())
    return stream.getvalue()


def png(pixels: NDArray[np.uint8]) -> bytes:
    """RGB or RGBA uint8 as a PNG without metadata."""
    return _encode(pixels, "PNG", compress_level=_COMPRESSION)


def jpeg(pixels: NDArray[np.uint8], quality: int = 88) -> bytes:
    """RGB uint8 (H, W, 3) as a JPEG without metadata."""
    return _encode(pixels, "JPEG", quality=quality, optimize=True)


def _encode(pixels: NDArray[np.uint8], kind: str, **options: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def legend(
    scale: float = SCALE, ident: str = "ramp", marks: Sequence[float] | None = None, unit: str = "logits"
) -> str:
    """The scale as inline SVG on a strip of fundus colour, with its ends and `marks` (default: the middle) in numbers.

    `ident` names the gradient and must be unique on the page.
    """
    colours = RAMP[::15]
    stops = "".join(
        f'<stop offset="{i / (len(colours) - 1):.3f}" stop-color="rgb({r},{g},{b})" stop-opacity="{a / 255:.3f}"/>'
        for i, (r, g, b, a) in enumerate(colours.tolist())
    )
    between = [(mark / scale, "middle", f"{mark:+.3g}") for mark in marks or (scale / 2,)]
    ends = 262 / 240  # the last number reaches beyond the strip, clear of the mark before it
    ticks = ((0.0, "start", "≤ 0"), *between, (ends, "end", f"≥ {scale:+.3g}"))
    numbers = "".join(
        f'<text x="{240 * at:g}" y="30" text-anchor="{anchor}" font-size="11">{html.escape(text)}</text>'
        for at, anchor, text in ticks
    )
    return (
        f'<svg class="legend" viewBox="0 0 262 34" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>Evidence from 0 (no colour) to {scale:.3g} {html.escape(unit)} and more (full colour)</title>"
        f'<defs><linearGradient id="{html.escape(ident)}">{stops}</linearGradient></defs>'
        f'<rect width="240" height="16" rx="2" fill="#a4502a"/>'
        f'<rect class="heat" width="240" height="16" rx="2" fill="url(#{html.escape(ident)})"/>{numbers}</svg>'
    )
