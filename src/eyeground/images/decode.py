"""From a file's bytes to upright RGB pixels, or one sentence that says why not.

JPEG, the format of nearly every fundus camera, is decoded straight at 1/2, 1/4 or 1/8 scale (libjpeg's scaled inverse
DCT) when a small target asks for no more. Headers are read by Pillow, and nothing is decoded before the size is known.
"""

from __future__ import annotations

import io
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyeground.errors import ImageError
from eyeground.records import Flag

MAX_PIXELS = 178_956_970
"""About 179 megapixels, Pillow's own limit against decompression bombs; the largest fundus cameras have about 50."""

MAX_SIDE = 20_000
"""Pixels along the longer side: above this it is a strip, and the square around it would not fit into memory."""

MAX_BYTES = 1 << 30
"""Files above 1 GiB are not read: no photograph is that large."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)
"""The EXIF orientations that swap width and height."""

REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error, zlib.error, OverflowError)
"""What Pillow's readers raise for damaged files."""


@dataclass(frozen=True)
class Decoded:
    """Upright pixels uint8 (h, w, 3) RGB; each covers `scale` x `scale` pixels of the original `width` x `height`.

    When the original is not a multiple of `scale`, the last row or column reaches past its edge (as libjpeg fills it).
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    scale: int = 1
    notes: tuple[Flag, ...] = ()


def read_bytes(path: Path) -> bytes:
    """A file's bytes. Raises `ImageError`: missing, a folder, a pipe or device, empty, too large, or not permitted."""
    try:
        facts = path.stat()
        size = facts.st_size
        if stat.S_ISDIR(facts.st_mode):
            raise ImageError(f"{path} is a folder, not an image file")
        if not stat.S_ISREG(facts.st_mode):  # reading one may never end
            raise ImageError(f"{path} is a pipe or a device, not an image file; copy it into a file first")
        if size > MAX_BYTES:
            raise ImageError(f"{path} has {size / 2**30:.1f} GiB; image files up to 1 GiB are read")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"no image file {path}") from None
    except OSError as error:
        raise ImageError(f"can't read {path}: {error.strerror or error}") from None
    if not data:
        raise ImageError(f"{path} is empty (0 bytes); copy it again from its source")
    return data


def decode(path: Path, target: int | None = None) -> Decoded:
    """Reads and decodes one image file; see `decode_bytes`."""
    return decode_bytes(read_bytes(path), target, path)


def decode_bytes(data: bytes, target: int | None, path: Path) -> Decoded:
    """Decodes an image.

    Args:
        data: the file's bytes.
        target: pixels wanted along the picture's shorter side; a JPEG is decoded at the smallest of the scales 1, 1/2,
            1/4, 1/8 that gives at least as many. None decodes at full scale.
        path: for messages only.

    Raises:
        ImageError: not an image, damaged or truncated, too many pixels, or pixels that are not 8 or 16 bit.
    """
    header = _open(data, path)
    orientation = _orientation(header)
    width, height = header.size
    scale = 1
    try:
        if header.format in ("JPEG", "MPO"):
            scale = _scale(header.size, target, orientation)
            pixels, notes = _jpeg(data, header, scale)
        elif _is_deep(data, header):
            pixels, notes = _deep(data, header)
        else:
            pixels, notes = _plain(header)
    except (*_BROKEN, cv2.error, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} is damaged or cut short ({_reason(error)}); copy it again from its source") from None
    except MemoryError:
        raise ImageError(f"{path} ({width}x{height}) does not fit into memory") from None
    if orientation in TURNED:
        width, height = height, width
    return Decoded(_upright(pixels, orientation), width, height, scale, notes)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a photograph, upright, by its header. Raises `ImageError` as `decode_bytes` does."""
    header = _open(read_bytes(path), path)
    width, height = header.size
    return (height, width) if _orientation(header) in TURNED else (width, height)


def _orientation(header: Image.Image) -> int:
    """EXIF's; 1 (upright) where it can't be read."""
    try:
        return int(header.getexif().get(ORIENTATION, 1))
    except _BROKEN:
        return 1


def _open(data: bytes, path: Path) -> Image.Image:
    """The header of an image that is small enough to decode."""
    try:
        header = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageError(f"{path} claims more than {MAX_PIXELS // 10**6} megapixels; it is not decoded") from None
    except _BROKEN:
        raise ImageError(f"{path} is not a readable image (JPEG, PNG, TIFF or BMP)") from None
    if header.width * header.height > MAX_PIXELS or max(header.size) > MAX_SIDE:
        size = f"{header.width}x{header.height}"
        limit = f"{MAX_PIXELS // 10**6} megapixels and {MAX_SIDE} pixels a side"
        raise ImageError(f"{path} claims {size} pixels, more than a photograph has; the limit is {limit}")
    return header


def _scale(size: tuple[int, int], target: int | None, orientation: int) -> int:
    """The largest JPEG reduction that keeps `target` pixels on the shorter side."""
    if target is None:
        return 1
    fitting = [k for k in (8, 4, 2) if min(size) // k >= target]
    if orientation > 1:  # a mirrored or turned picture must not begin with half a pixel
        fitting = [k for k in fitting if size[0] % k == 0 and size[1] % k == 0]
    return max(fitting, default=1)


def _jpeg(data: bytes, header: Image.Image, scale: int) -> tuple[NDArray[np.uint8], tuple[Flag, ...]]:
    """A JPEG at reduced scale: OpenCV's decoder for whole grey and colour files, Pillow's strict one for the rest."""
    if header.mode not in ("RGB", "L") or not _has_end(data):
        header.draft(header.mode, (max(header.width // scale, 1), max(header.height // scale, 1)))
        return _plain(header)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise OSError("its pixel data can't be decoded")
    cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
    return np.asarray(pixels, dtype=np.uint8), (GREY,) if header.mode == "L" else ()


def _has_end(data: bytes) -> bool:
    """Whether a JPEG has an end-of-image marker after its first scan. Cheap: within a scan 0xFFD9 can't occur."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:
            return data.rfind(b"\xff\xd9", position) >= 0
        if marker == 0xFF:  # fill byte
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _plain(header: Image.Image) -> tuple[NDArray[np.uint8], tuple[Flag, ...]]:
    """Any 8-bit picture through Pillow, which refuses truncated data."""
    mode = header.mode
    if mode in ("I", "F"):
        raise OSError("its pixels are 32-bit numbers; save it with 8 or 16 bits")
    notes = []
    if mode in ("1", "L", "LA"):
        notes.append(GREY)
    if mode in ("LA", "PA", "RGBA") or "transparency" in header.info:
        notes.append(ALPHA)
    if mode == "CMYK":
        notes.append(Flag("cmyk", "the picture was CMYK and was converted without a colour profile"))
    header.load()
    if mode == "P" and "transparency" in header.info:
        header = header.convert("RGBA")
    pixels = np.asarray(header.convert("RGB") if header.mode != "RGB" else header)
    return np.ascontiguousarray(pixels), tuple(notes)


def _is_deep(data: bytes, header: Image.Image) -> bool:
    """Whether a PNG or TIFF has 16 bits per channel (Pillow would silently drop the lower half of colour ones)."""
    if header.format == "PNG":
        return data[24] == 16
    if header.format == "TIFF":
        tags: dict[int, tuple[int, ...]] = getattr(header, "tag_v2", {})
        return header.mode != "F" and max(tags.get(258, (1,))) == 16
    return False


def _deep(data: bytes, header: Image.Image) -> tuple[NDArray[np.uint8], tuple[Flag, ...]]:
    """A 16-bit picture, brought to 8 bits by the full range (65535 becomes 255)."""
    header.load()  # refuses truncated data, which OpenCV does not
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if deep is None or deep.dtype != np.uint16:
        raise OSError("its 16-bit pixels can't be decoded")
    notes = [Flag("sixteen_bit", "the picture has 16 bits per channel and was reduced to 8")]
    pixels = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.ndim == 2:
        notes.append(GREY)
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), tuple(notes)  # type: ignore[return-value]
    if pixels.shape[2] == 4:
        notes.append(ALPHA)
    return np.ascontiguousarray(pixels[..., 2::-1]), tuple(notes)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Applies the EXIF orientation (1 to 8; anything else counts as upright)."""
    if orientation in TURNED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."


GREY = Flag("grey", "the picture is grey; its one channel was repeated as red, green and blue")
ALPHA = Flag("alpha_dropped", "the picture has a transparency channel, which was dropped")
