"""Geometry, decoding, preparing: laws and every kind of bad input."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from eyeground.errors import ImageError, UsageError
from eyeground.images import enhance
from eyeground.images.decode import decode
from eyeground.images.geometry import Geometry
from eyeground.images.prepare import Preprocessing, prepare


def eye(wide: int = 640, high: int = 420, radius: float = 190, noise: float = 2) -> np.ndarray:
    """A made fundus: a disc with a bright disc head, vessels and a little noise."""
    y, x = np.mgrid[:high, :wide] + 0.5
    far = np.hypot(x - wide / 2, y - high / 2) / radius
    picture = np.stack([190 - 70 * far, 100 - 40 * far, 50 - 20 * far], axis=2).clip(0)
    for k in range(6):
        picture[np.abs(np.sin(3 * x / radius + k) * 40 + 70 * k + 10 - y) < 2] *= 0.6
    picture[np.hypot(x - wide * 0.6, y - high / 2) < radius / 7] = (250, 220, 150)
    picture *= np.clip((1 - far) * radius + 0.5, 0, 1)[..., None]
    return np.clip(picture + np.random.default_rng(0).normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "eye.jpg"
    Image.fromarray(eye()).save(path, quality=95)
    return path


# geometry ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "geometry", [Geometry(640, 420, 129.5, -7.25, 381.0, 256), Geometry(4288, 2848, 284, -304, 3432, 512)]
)
def test_there_and_back(geometry: Geometry) -> None:
    points = np.random.default_rng(0).uniform(-100, 5000, (7, 3, 2))
    np.testing.assert_allclose(geometry.to_view(geometry.to_original(points)), points, atol=1e-9)
    np.testing.assert_allclose(geometry.to_original(geometry.to_view(points)), points, atol=1e-9)
    np.testing.assert_allclose(geometry.to_original([0, 0]), (geometry.x, geometry.y))
    np.testing.assert_allclose(
        geometry.to_original([geometry.size] * 2), (geometry.x + geometry.side, geometry.y + geometry.side)
    )
    assert Geometry.from_dict(geometry.to_dict()) == geometry


@pytest.mark.parametrize("cells", [1, 7, 8, 64])
def test_a_placed_ramp_is_the_ramp(cells: int) -> None:
    """A map that is linear in view coordinates stays so on the original pixels, between the outermost cell centres."""
    geometry = Geometry(300, 200, 40.0, -25.0, 250.0, 128)
    centres = (np.arange(cells) + 0.5) / cells
    placed = geometry.place((2 * centres[None, :] + 3 * centres[:, None]).astype(np.float32))
    y, x = np.mgrid[:200, :300] + 0.5
    u, v = (x - 40) / 250, (y + 25) / 250
    low, high = centres[0], centres[-1]
    expected = 2 * u.clip(low, high) + 3 * v.clip(low, high)
    inside = (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
    assert placed.shape == (200, 300) and placed.dtype == np.float32
    np.testing.assert_allclose(placed[inside], expected[inside], atol=2e-5)
    assert (placed[~inside] == 0).all()


def test_placed_at_the_pictures_own_resolution_is_the_map_itself() -> None:
    values = np.random.default_rng(1).normal(size=(50, 50)).astype(np.float32)
    placed = Geometry(80, 60, 10, 5, 50, 256).place(values)
    np.testing.assert_array_equal(placed[5:55, 10:60], values)


def test_place_and_crop_back(photograph: Path) -> None:
    """Colours of the view, put on the original pixels, are those of the original."""
    view = prepare(photograph, Preprocessing(size=256)).view
    original = decode(photograph).pixels[..., 1].astype(float)
    placed = view.geometry.place(view.pixels[..., 1].astype(np.float32))
    seen = placed > 0
    assert seen.mean() > 0.4
    assert (
        np.abs(cv2.blur(placed, (5, 5)) - cv2.blur(original, (5, 5)))[
            cv2.erode(seen.astype(np.uint8), np.ones((9, 9))) > 0
        ].mean()
        < 2
    )


def test_the_disc_heads_place_survives(photograph: Path) -> None:
    """A landmark found in the view maps to where it is in the original, to a pixel."""
    view = prepare(photograph, Preprocessing(size=256)).view
    ys, xs = np.nonzero((view.pixels[..., 1] > 195) & (view.pixels[..., 0] > 230))
    found = view.geometry.to_original([xs.mean() + 0.5, ys.mean() + 0.5])
    np.testing.assert_allclose(found, (640 * 0.6, 210), atol=1.0)


# decoding ------------------------------------------------------------------------------------------------------------


def oriented(pixels: np.ndarray, orientation: int, path: Path) -> Path:
    """Saves pixels as a camera held that way would: stored turned, with the tag that turns them back."""
    undo = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    exif = Image.Exif()
    exif[0x0112] = undo
    stored = ImageOps.exif_transpose(_with_exif(pixels, undo))
    exif[0x0112] = orientation
    stored.save(path, exif=exif, quality=100, subsampling=0)
    return path


def _with_exif(pixels: np.ndarray, orientation: int) -> Image.Image:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", exif=exif)
    return Image.open(stream)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind, target", [("png", None), ("jpg", None), ("jpg", 100)])
def test_orientation_is_honoured(tmp_path: Path, orientation: int, kind: str, target: int | None) -> None:
    pixels = eye(640, 416)
    decoded = decode(oriented(pixels, orientation, tmp_path / f"eye.{kind}"), target)
    assert (decoded.width, decoded.height) == (640, 416)
    k = decoded.scale
    assert k == (1 if target is None else 4)
    expected = cv2.resize(pixels, (640 // k, 416 // k), interpolation=cv2.INTER_AREA)
    difference = np.abs(decoded.pixels.astype(int) - expected)
    assert difference.max() == 0 if kind == "png" else difference.mean() < 2


@pytest.mark.parametrize("size", [(640, 420), (643, 421)])
@pytest.mark.parametrize("target, scale", [(400, 1), (210, 2), (105, 4), (52, 8), (8, 8)])
def test_reduced_decode_is_full_decode_and_area(tmp_path: Path, size: tuple[int, int], target: int, scale: int) -> None:
    path = tmp_path / "eye.jpg"
    Image.fromarray(eye(*size)).save(path, quality=95)
    small, full = decode(path, target), decode(path)
    assert small.scale == scale and min(small.pixels.shape[:2]) >= target
    assert (small.width, small.height) == (full.width, full.height) == size
    high, wide = size[1] // scale, size[0] // scale
    expected = cv2.resize(full.pixels[: high * scale, : wide * scale], (wide, high), interpolation=cv2.INTER_AREA)
    difference = np.abs(small.pixels[:high, :wide].astype(int) - expected)
    assert difference.mean() < 1.5


@pytest.mark.parametrize("kind", ["png", "tif", "bmp"])
def test_lossless_formats_are_exact(tmp_path: Path, kind: str) -> None:
    pixels = eye()
    path = tmp_path / f"eye.{kind}"
    Image.fromarray(pixels).save(path)
    decoded = decode(path, 100)
    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert decoded.notes == () and decoded.scale == 1


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("grey", [False, True])
def test_sixteen_bits_become_eight(tmp_path: Path, kind: str, grey: bool) -> None:
    pixels = eye()
    deep = pixels.astype(np.uint16) * 257
    path = tmp_path / f"eye.{kind}"
    cv2.imwrite(str(path), deep[..., 1] if grey else deep[..., ::-1])
    decoded = decode(path)
    np.testing.assert_array_equal(decoded.pixels, np.stack([pixels[..., 1]] * 3, axis=2) if grey else pixels)
    assert [note.code for note in decoded.notes] == ["sixteen_bit", "grey"][: 1 + grey]


@pytest.mark.parametrize(
    "mode, kind, code",
    [("L", "jpg", "grey"), ("L", "png", "grey"), ("1", "png", "grey"), ("RGBA", "png", "alpha_dropped"),
     ("CMYK", "jpg", "cmyk"), ("CMYK", "tif", "cmyk"), ("P", "png", None)],
)  # fmt: skip
def test_other_colour_modes_are_converted_with_a_note(tmp_path: Path, mode: str, kind: str, code: str | None) -> None:
    path = tmp_path / f"eye.{kind}"
    image = Image.fromarray(eye()).convert(mode)
    image.save(path)
    decoded = decode(path, 100)
    assert decoded.pixels.shape[2] == 3 and decoded.pixels.dtype == np.uint8
    assert [note.code for note in decoded.notes] == ([code] if code else [])
    expected = np.asarray(image.convert("RGB").resize(decoded.pixels.shape[1::-1], Image.Resampling.BOX), dtype=int)
    assert np.abs(decoded.pixels - expected).mean() < 5


def bomb(path: Path, wide: int, high: int) -> Path:
    """A PNG whose header promises wide x high pixels."""
    header = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("wide, high", [(30_000, 30_000), (13_500, 13_500), (70_000, 10)])
def test_bombs_are_refused_from_the_header(tmp_path: Path, wide: int, high: int) -> None:
    with pytest.raises(ImageError, match="claims"):
        decode(bomb(tmp_path / "bomb.png", wide, high), 256)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "bmp"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97])
def test_truncated_files_are_refused(tmp_path: Path, kind: str, part: float) -> None:
    whole = tmp_path / f"whole.{kind}"
    Image.fromarray(eye()).save(whole)
    data = whole.read_bytes()
    cut = tmp_path / f"cut.{kind}"
    for ending in (b"", b"\0" * 5000):  # cut short, and cut short then filled up as a broken copy is
        if kind in ("tif", "bmp") and ending:
            continue  # uncompressed pixels that are zero are pixels
        cut.write_bytes(data[: int(len(data) * part)] + ending)
        for target in (None, 100):
            with pytest.raises(ImageError, match=r"cut\.") as caught:
                decode(cut, target)
            assert len(str(caught.value).splitlines()) == 1


def test_bytes_after_a_jpegs_end_do_no_harm(photograph: Path) -> None:
    whole = decode(photograph).pixels
    photograph.write_bytes(photograph.read_bytes() + b"appended by some camera")
    np.testing.assert_array_equal(decode(photograph).pixels, whole)


def test_files_that_are_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("this is not an image")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "device.jpg").symlink_to("/dev/null")
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "float.tif")
    cases = {"empty": "empty", "text": "not a readable image", "folder": "is a folder", "gone": "no image file"}
    cases["device"] = "is a pipe or a device"
    for name, words in cases.items():
        with pytest.raises(ImageError, match=words):
            decode(tmp_path / f"{name}.jpg")
    with pytest.raises(ImageError, match="8 or 16 bits"):
        decode(tmp_path / "float.tif")


def test_importing_changes_nothing_in_pillow() -> None:
    from PIL import ImageFile

    assert Image.MAX_IMAGE_PIXELS == 89_478_485 and not ImageFile.LOAD_TRUNCATED_IMAGES


# preparing -----------------------------------------------------------------------------------------------------------


def test_nothing_is_squashed_and_the_field_fills_the_view(photograph: Path) -> None:
    prepared = prepare(photograph, Preprocessing(size=128))
    geometry = prepared.view.geometry
    assert prepared.view.pixels.shape == (128, 128, 3) and prepared.quality.flags == () and prepared.notes == ()
    assert geometry.side == pytest.approx(380, rel=0.02)
    assert (geometry.x + geometry.side / 2, geometry.y + geometry.side / 2) == pytest.approx((320, 210), abs=3)


def test_a_small_field_in_a_large_picture_is_decoded_finer(tmp_path: Path) -> None:
    path = tmp_path / "small.jpg"
    Image.fromarray(cv2.copyMakeBorder(eye(), 500, 500, 500, 500, cv2.BORDER_CONSTANT)).save(path, quality=95)
    view = prepare(path, Preprocessing(size=256)).view
    assert view.geometry.side == pytest.approx(380, rel=0.02)
    sharp = cv2.Laplacian(view.pixels, cv2.CV_32F).std()
    Image.fromarray(eye()).save(path, quality=95)
    assert sharp == pytest.approx(
        cv2.Laplacian(prepare(path, Preprocessing(size=256)).view.pixels, cv2.CV_32F).std(), rel=0.1
    )


def test_square_holds_the_whole_picture(photograph: Path) -> None:
    geometry = prepare(photograph, Preprocessing(size=128, crop="square")).view.geometry
    assert (geometry.x, geometry.y, geometry.side) == (0, -110, 640)


def test_without_a_field_the_whole_picture_is_used_and_flagged(tmp_path: Path) -> None:
    path = tmp_path / "black.png"
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(path)
    prepared = prepare(path, Preprocessing(size=64))
    assert prepared.view.geometry == Geometry(400, 300, 0, -50, 400, 64)
    assert {flag.code for flag in prepared.quality.flags} >= {"no_field", "too_dark"}


@pytest.mark.parametrize(
    "spoil, code",
    [(lambda p: (p * 0.15).astype(np.uint8), "too_dark"),
     (lambda p: np.where(p.max(axis=2, keepdims=True) > 30, np.maximum(cv2.add(p, 150), 150), p), "too_bright"),
     (lambda p: cv2.GaussianBlur(p, (0, 0), 12), "blurred"),
     (lambda p: cv2.circle(p.copy(), (250, 210), 80, (255, 255, 255), -1), "clipped"),
     (lambda p: cv2.resize(p, (160, 105), interpolation=cv2.INTER_AREA), "low_resolution")],
    ids=["dark", "bright", "blurred", "clipped", "small"],
)  # fmt: skip
def test_each_fault_raises_its_flag(tmp_path: Path, spoil, code: str) -> None:
    path = tmp_path / "eye.png"
    Image.fromarray(spoil(eye(noise=1))).save(path)
    quality = prepare(path, Preprocessing()).quality
    assert code in [flag.code for flag in quality.flags], quality.numbers
    assert all(isinstance(number, float) for number in quality.numbers.values())


def test_preprocessing_is_its_record() -> None:
    options = Preprocessing(512, "square", ("clahe", "graham"))
    again = Preprocessing.from_dict(options.to_dict())
    assert again == options and again.digest == options.digest != Preprocessing().digest
    with pytest.raises(UsageError, match=r"unknown key 'sise'.*did you mean 'size'"):
        Preprocessing.from_dict({"sise": 256})
    with pytest.raises(UsageError, match=r"no enhancement 'clahee'; did you mean 'clahe'"):
        Preprocessing(enhance=("clahee",))
    for wrong in ({"size": 4}, {"size": 256.0}, {"crop": "circle"}, {"version": 99}):
        with pytest.raises(UsageError):
            Preprocessing.from_dict(wrong)


# enhancing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", enhance.ENHANCEMENTS)
def test_enhancements_are_pure_and_keep_the_shape(name: str) -> None:
    pixels = eye(256, 256, 120)
    before = pixels.copy()
    result = enhance.apply([name], pixels)
    np.testing.assert_array_equal(pixels, before)
    assert result.shape == pixels.shape and result.dtype == np.uint8 and not np.array_equal(result, pixels)
    corner = 128 if name in ("graham", "background") else 0
    assert np.abs(result[:20, :20].astype(int) - corner).max() <= 12
    enhance.apply([name], np.zeros_like(pixels))


def test_enhancements_chain_in_order() -> None:
    pixels = eye(256, 256, 120)
    chained = enhance.apply(["clahe", "graham"], pixels)
    np.testing.assert_array_equal(chained, enhance.graham(enhance.clahe(pixels)))
    assert enhance.apply([], pixels) is pixels


def test_equalise_is_opencvs_where_all_is_lit() -> None:
    pixels = eye(256, 256, 120)[60:190, 60:190]
    theirs = np.stack([cv2.equalizeHist(np.ascontiguousarray(pixels[..., c])) for c in range(3)], axis=2)
    np.testing.assert_array_equal(enhance.equalise(pixels), theirs)


def test_graham_flattens_the_background() -> None:
    pixels = eye(256, 256, 120, noise=0)
    y, x = np.mgrid[:256, :256]
    inside = np.hypot(x - 127.5, y - 127.5) < 100
    assert np.abs(np.median(enhance.graham(pixels)[inside], axis=0) - 128).max() < 6
