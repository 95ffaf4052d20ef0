"""Negatives of kinds that took no part in choosing the gate's rules and limits; they were measured once, after.

    photographs and scans  pictures of a folder, such as scikit-image's `skimage/data` (not in this repository)
    screenshots            web pages rendered by Chromium
    documents              letters and tables, rendered by Chromium
    OCT phantoms           B-scans that `eyeground phantom --oct` paints
    drawn                  pizza, tomato slice, soup in a bowl, cheek, dermatoscope's view

Where Chromium or the folder is not there, these rows are left out.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.box.gate_views import made, prepared
from eyeground.phantom.cohort import Spec, fill

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator

SIDE = 600
SEED = 2026
EACH, SHOTS = 20, 12
"""Pictures of each drawn kind, and of each that Chromium renders."""
FUNDUS = ("retina.jpg",)
"""Pictures of the folder that are colour fundus photographs: these must pass."""
NOT_JUDGED = ("microaneurysms.png",)
"""A grey detail of a fundus photograph: neither."""
DOCUMENTS = Path(__file__).parents[2] / "docs"


def kinds(photographs: Path | None) -> Iterator[tuple[str, list[str], list[Pixels]]]:
    """Kind, names and views of the pictures that can be decoded, of every kind that can be had here."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if photographs is not None:
            colour, grey = _sorted(photographs)
            yield "photographs, in colour", *_views(colour)
            yield "photographs, scans and drawings, grey", *_views(grey)
        if shutil.which("chromium"):
            yield "screenshots of web pages", *_views(_shots(place, "web", _web, SHOTS))
            yield "letters, rendered", *_views(_shots(place, "letter", _letter, SHOTS))
            yield "tables, rendered", *_views(_shots(place, "table", _table, SHOTS))
        fill(place / "phantom", EACH // 2, Spec(512, SEED, 0.5, oct=True))
        scans = sorted(path for path in (place / "phantom" / "oct").glob("*.png"))
        yield "OCT phantoms", *_views(scans)
    rng = np.random.default_rng(SEED)
    for name, draw in DRAWN.items():
        pictures = [made(draw(rng), int(rng.integers(70, 96))) for _ in range(EACH)]
        yield f"{name}, drawn", [str(number) for number in range(EACH)], pictures


def fundus(photographs: Path | None) -> list[Pixels]:
    """Views of the folder's true fundus photographs."""
    if photographs is None:
        return []
    return _views([photographs / name for name in FUNDUS])[1]


def _sorted(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folder's pictures by whether they have colour;."""
    colour, grey = [], []
    for path in sorted(folder.iterdir()):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if path.suffix not in (".png", ".jpg") or picture is None or path.name in (*FUNDUS, *NOT_JUDGED):
            continue
        spread = np.ptp(picture.astype(np.int16), axis=2)
        (colour if float(spread.mean()) > 3 else grey).append(path)
    return colour, grey


def _views(paths: list[Path]) -> tuple[list[str], list[Pixels]]:
    names, entries = prepared(paths, None)
    return names, [entry.load() for entry in entries]


def _shots(place: Path, kind: str, write: Callable[[Rng, int], str], count: int) -> list[Path]:
    """Screenshots of pages that `write` makes."""
    rng, shots = np.random.default_rng(SEED), []
    for number in range(count):
        page, shot = place / f"{kind}{number}.html", place / f"{kind}{number}.png"
        page.write_text(f"<!doctype html><meta charset=utf-8>{write(rng, number)}", encoding="utf-8")
        size = "1280,900" if kind == "web" else "900,1270"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
        command = ["chromium", *options, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=False, capture_output=True, timeout=120, cwd=place)
        if shot.is_file():
            shots.append(shot)
    return shots


def _words(rng: Rng, count: int) -> str:
    """Words of this repository's pages."""
    pages = sorted(DOCUMENTS.glob("*.md"))
    words = pages[rng.integers(len(pages))].read_text(encoding="utf-8").replace("<", " ").split()
    start = int(rng.integers(max(len(words) - count, 1)))
    return " ".join(words[start : start + count])


def _colour(rng: Rng, low: int = 0, high: int = 256) -> str:
    return "#" + "".join(f"{int(value):02x}" for value in rng.integers(low, high, 3))


def _web(rng: Rng, number: int) -> str:
    """Menu, cards, pictures of gradients; one in three on a dark ground."""
    ground, ink = ("#101418", "#ddd") if number % 3 == 0 else (_colour(rng, 200), "#222")
    card = "display:inline-block;width:29%;margin:1%;padding:8px;vertical-align:top"
    cards = "".join(
        f"<div style='{card};background:{_colour(rng)}22'><div style='height:{rng.integers(60, 220)}px;"
        f"background:{('radial', 'linear')[rng.integers(2)]}-gradient({_colour(rng)},{_colour(rng)})'></div>"
        f"<h3>{_words(rng, 5)}</h3><p>{_words(rng, 40)}</p></div>"
        for _ in range(int(rng.integers(3, 9)))
    )
    menu = " · ".join(_words(rng, 1) for _ in range(8))
    style = f"margin:0;background:{ground};color:{ink};font-family:sans-serif"
    return (
        f"<body style='{style}'><div style='background:{_colour(rng)};padding:20px'>{menu}</div>"
        f"<h1>{_words(rng, 6)}</h1>{cards}</body>"
    )


def _letter(rng: Rng, number: int) -> str:
    face = ("serif", "sans-serif", "monospace", "cursive")[number % 4]
    paper = ("#ffffff", "#fdf6e3", "#f3ead8")[number % 3]
    paragraphs = "".join(f"<p>{_words(rng, int(rng.integers(30, 110)))}</p>" for _ in range(6))
    style = f"margin:80px;background:{paper};font:{rng.integers(13, 22)}px {face}"
    return (
        f"<body style='{style}'><p style='text-align:right'>{_words(rng, 4)}</p><h2>{_words(rng, 5)}</h2>{paragraphs}"
    )


def _table(rng: Rng, number: int) -> str:
    columns = int(rng.integers(3, 9))
    head = "".join(f"<th>{_words(rng, 1)}</th>" for _ in range(columns))
    rows = "".join(
        f"<tr style='background:{_colour(rng, 190) if row % 2 else '#fff'}'>"
        + "".join(f"<td>{rng.normal() * 100:.2f}</td>" for _ in range(columns))
        for row in range(int(rng.integers(10, 50)))
    )
    return (
        f"<body style='font:14px sans-serif'><h2>{_words(rng, 4)}</h2><table border={number % 2} cellpadding=6 "
        f"width=100%><tr style='background:{_colour(rng)};color:#fff'>{head}</tr>{rows}</table>"
    )


def _noise(rng: Rng, sigma: float) -> Floats:
    """Smooth noise (SIDE, SIDE, 1) of deviation 1."""
    field = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), sigma)
    return np.asarray(field / field.std(), np.float32)[..., None]


def _distance(rng: Rng, wobble: float = 0.0) -> Floats:
    """Distance (SIDE, SIDE, 1) from about the middle, in radii of a disc that nearly fills the picture."""
    axis = np.arange(SIDE, dtype=np.float32)
    x, y = np.meshgrid(axis - rng.normal(SIDE / 2, 8), axis - rng.normal(SIDE / 2, 8))
    edge = 1 + wobble * np.sin(np.arctan2(y, x) * rng.integers(3, 7) + rng.uniform(0, 6))
    return np.asarray(np.hypot(x, y) / (rng.uniform(220, 290) * edge), np.float32)[..., None]


def _blots(rng: Rng, picture: Floats, colour: tuple[int, int, int], count: int, least: int, most: int) -> Floats:
    sheet = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(count):
        at = tuple(int(value) for value in rng.uniform(90, SIDE - 90, 2))
        cv2.ellipse(sheet, at, tuple(int(v) for v in rng.integers(least, most, 2)), rng.uniform(0, 180), 0, 360, 1, -1)
    soft = cv2.GaussianBlur(sheet, (0, 0), 1.5)[..., None]
    return np.asarray(picture * (1 - soft) + soft * (np.array(colour) + 12 * _noise(rng, 3)), np.float32)


def _finish(picture: Floats, rng: Rng) -> Pixels:
    return np.clip(picture + rng.normal(size=picture.shape) * 2, 0, 255).astype(np.uint8)


def pizza(rng: Rng) -> Pixels:
    """Crust, cheese and slices of sausage on a dark table."""
    d = _distance(rng, 0.02)
    cheese = np.array([225, 165, 75]) + 18 * _noise(rng, 12) + 10 * _noise(rng, 3)
    picture = _blots(rng, np.asarray(cheese, np.float32), (165, 45, 30), 14, 20, 40)
    picture = _blots(rng, picture, (60, 90, 35), 20, 4, 14)
    picture = np.where(d > 0.88, np.array([170, 110, 55]) + 14 * _noise(rng, 5), picture)
    return _finish(np.where(d < 1, picture, np.float32(rng.uniform(0, 40))), rng)


def tomato(rng: Rng) -> Pixels:
    """A slice on black: red wall, paler chambers, seeds."""
    d = _distance(rng, 0.03)
    picture = np.asarray(np.array([200, 50, 35]) + 10 * _noise(rng, 6), np.float32)
    picture = _blots(rng, picture, (225, 110, 70), 6, 45, 80)
    picture = _blots(rng, picture, (235, 205, 130), 60, 4, 9)
    return _finish(np.where(d < 1, picture * (1 - 0.25 * d), 0), rng)


def soup(rng: Rng) -> Pixels:
    """Orange soup with oil and herbs in a white bowl."""
    d = _distance(rng)
    picture = np.asarray(np.array([210, 105, 35]) + 12 * _noise(rng, 30), np.float32)
    picture = _blots(rng, picture, (235, 160, 60), 25, 4, 22)
    picture = _blots(rng, picture, (70, 95, 40), 30, 3, 9)
    picture = np.where(d > 0.85, np.float32(215), picture)
    return _finish(np.where(d < 1, picture, np.array(rng.uniform(20, 120, 3))), rng)


def cheek(rng: Rng) -> Pixels:
    """Skin that fills the frame: pores, freckles, a shadow from one side."""
    tone = np.array([rng.uniform(140, 240), rng.uniform(95, 180), rng.uniform(75, 150)])
    picture = np.asarray(tone + 9 * _noise(rng, 50) + 5 * _noise(rng, 2), np.float32)
    picture = _blots(rng, picture, tuple(int(v) for v in tone * 0.75), 30, 2, 8)  # type: ignore[arg-type]
    return _finish(picture * np.linspace(1.05, rng.uniform(0.5, 0.9), SIDE, dtype=np.float32)[None, :, None], rng)


def dermatoscope(rng: Rng) -> Pixels:
    """A mole and hairs in a round field on black: form, surround and hue as a fundus photograph has them."""
    d = _distance(rng)
    picture = np.asarray(np.array([215, 150, 125]) + 8 * _noise(rng, 40) + 4 * _noise(rng, 2), np.float32)
    spot = cv2.GaussianBlur((d[..., 0] < rng.uniform(0.25, 0.5)).astype(np.float32), (0, 0), 12)[..., None]
    picture = picture * (1 - spot) + spot * (np.array([105, 60, 45]) + 14 * _noise(rng, 6))
    hairs = np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(int(rng.integers(2, 14))):
        centre = tuple(int(v) for v in rng.integers(0, SIDE, 2))
        cv2.ellipse(hairs, centre, (int(rng.integers(150, 500)), int(rng.integers(60, 300))), rng.uniform(0, 180),
                    rng.uniform(0, 200), rng.uniform(210, 340), 255, int(rng.integers(1, 4)), cv2.LINE_AA)  # fmt: skip
    picture *= 1 - 0.75 * (hairs[..., None] / np.float32(255))
    return _finish(np.where(d < 1, picture * (1 - 0.2 * d * d), 0), rng)


DRAWN: dict[str, Callable[[Rng], Pixels]] = {
    "pizza": pizza,
    "tomato slice on black": tomato,
    "soup in a bowl": soup,
    "cheek": cheek,
    "dermatoscope's view": dermatoscope,
}
