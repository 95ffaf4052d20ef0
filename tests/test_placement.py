"""Where map elements sit: traced, measured by gradient, and what pictures, peaks and mirrored answers make of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eyeground.augment import mirror
from eyeground.batches import Batch, Output
from eyeground.explain import paint
from eyeground.images.geometry import Geometry
from eyeground.metrics.pointing import peak
from eyeground.nets.placement import Placement, feature_placement, map_shift, placement
from eyeground.nets.trunk import make_trunk
from eyeground.runs.predict import predict
from linearised import centre


class Seer(nn.Module):
    """A method that answers with the brightness it sees, through convolutions of stride 2 with this padding."""

    def __init__(self, padding: int = 1, layers: int = 3, kernel: int = 3) -> None:
        super().__init__()
        parts = [nn.Conv2d(1, 1, kernel, 2, padding, bias=False) for _ in range(layers)]
        for part in parts:
            nn.init.constant_(part.weight, 1 / kernel**2)
        self.evidence = nn.Sequential(*parts)

    def forward(self, batch: Batch) -> Output:
        maps = self.evidence(batch.fundus.mean(2).flatten(0, 1)[:, None])
        maps = maps.unflatten(0, (-1, 2)).masked_fill(~batch.seen[..., None, None, None], torch.nan)
        return Output(maps.mean((3, 4)).nan_to_num().sum(1), maps.mean((3, 4)), maps)


class Visits:
    """What `predict` needs of a `VisitSet`: one visit of these photographs."""

    ids = ("1",)

    def __init__(self, fundus: Tensor) -> None:
        none = torch.zeros(1, 1)
        seen = torch.ones(1, 2, dtype=torch.bool)
        eyes = torch.zeros(1, 2, 1)
        self.batch = Batch(fundus, seen, none, none.bool(), eyes, eyes.bool(), self.ids)

    def __len__(self) -> int:
        return 1

    def batches(self, order):
        yield self.batch


def dots(size: int, left: tuple[int, int], right: tuple[int, int]) -> Visits:
    """Black photographs with one blurred dot each, at (x, y)."""
    fundus = torch.zeros(1, 2, 3, size, size)
    for eye, (x, y) in enumerate((left, right)):
        fundus[0, eye, :, y, x] = 1.0
    blurred = F.avg_pool2d(F.avg_pool2d(fundus[0], 9, 1, 4), 9, 1, 4)
    return Visits(blurred[None] * 81)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("mobilenetv2_100", 256, -15.5 / 32),
        ("resnet18", 256, -15.5 / 32),
        ("resnet50", 224, -15.5 / 32),
        ("efficientnet_b0", 256, -15.5 / 32),
        ("tf_efficientnet_b0", 256, +15.5 / 32),  # SAME padding of an even side: nothing at the top left
        ("vgg11", 64, 0.0),
        ("convnext_tiny", 64, 0.0),
        ("vit_tiny_patch16_224", 224, 0.0),
        ("swin_tiny_patch4_window7_224", 224, 0.0),
    ],
)
def test_the_shift_of_known_trunks(name: str, size: int, expected: float) -> None:
    trunk = make_trunk(name, "none", size)
    found = feature_placement(trunk, size)
    assert found.shift == pytest.approx((expected, expected))
    assert (found.stretch, found.spread, found.why) == ((0, 0), (0, 0), "")
    assert trunk.training, "the network is left as it was"


@pytest.mark.parametrize(
    ("name", "size"), [("mobilenetv2_035", 512), ("tf_mobilenetv3_small_minimal_100", 512), ("convnext_atto", 256)]
)
def test_the_shift_is_what_the_gradient_measures(name: str, size: int) -> None:
    """By another road: the centre of mass of all pixels that reach an element of a copy without negative weights."""
    trunk = make_trunk(name, "none", size)
    with torch.no_grad():
        count = trunk.eval()(torch.zeros(1, 3, size, size)).shape[-1]
    row, column = count // 2, count // 2 - 1
    x, y = centre(trunk, size, row, column)
    dx, dy = feature_placement(trunk, size).shift
    assert (x + 0.5) * count / size == pytest.approx(column + 0.5 + dx, abs=0.02)
    assert (y + 0.5) * count / size == pytest.approx(row + 0.5 + dy, abs=0.02)


def test_branches_that_sit_apart_say_how_far() -> None:
    """ResNet-D's shortcut is a mean pool, half a pixel beside the strided convolution."""
    found = feature_placement(make_trunk("resnet10t", "none", 128), 128)
    assert 0.1 < found.spread[0] < 0.3
    odd = feature_placement(make_trunk("inception_v3", "none", 299), 299)
    assert odd.shift == pytest.approx((0, 0))
    assert odd.stretch[0] == pytest.approx(0.5033, abs=1e-3), "a map without padding does not reach the edges"


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    class Turned(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            return pixels.flip(-1)

    found = feature_placement(Turned(), 16)
    assert (found.shift, "flip" in found.why) == ((0, 0), True)
    up = feature_placement(nn.ConvTranspose2d(3, 1, 4, 2, 1), 16)
    assert "transposed" in up.why
    assert placement(Seer(), 64) == Placement((-7 / 16, -7 / 16))


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_the_placed_peak_lies_on_the_dot(padding: int, kernel: int) -> None:
    size, network, errors, plain = 128, Seer(padding, 3, kernel), [], []
    for x in range(40, 88, 3):
        ys = (x + 3, 125 - x)
        found = predict(network, dots(size, (x, ys[0]), (x, ys[1])), 1, "keep", evidence=True)
        assert found.evidence is not None
        for eye, y in enumerate(ys):
            count = found.evidence.shape[-1]
            for shift, kept in ((found.shift(eye), errors), ((0.0, 0.0), plain)):
                at = peak(found.evidence[0, eye, 0], shift)
                kept.append(((at[0] * size - x - 0.5) * count / size, (at[1] * size - y - 0.5) * count / size))
    stretch = max(found.placement.stretch)
    assert np.abs(errors).max() <= 0.51 + stretch
    assert np.abs(np.mean(errors, 0)).max() < 0.13 + stretch / 4
    if stretch == 0 and padding < (kernel + 1) // 2:
        assert np.abs(np.mean(plain, 0)).max() > 0.3, "without the shift the peaks lie beside the dots"


@pytest.mark.parametrize("laterality", ["keep", "swap", "canonical"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_canonical_and_mirrored_answers_sit_on_the_dots(laterality, mirrored: bool) -> None:
    size, network = 128, Seer()
    errors = []
    for x in range(40, 90, 3):
        found = predict(network, dots(size, (x, 61), (size - 1 - x, 61)), 1, laterality, mirrored, True)
        assert found.evidence is not None
        for eye, true in enumerate((x, size - 1 - x)):
            at = Geometry(size, size, 0, 0, size, size).place(found.evidence[0, eye, 0], found.shift(eye))
            weight = at - at.min()
            columns = (weight.sum(0) * (np.arange(size) + 0.5)).sum() / weight.sum()
            errors.append((columns - true - 0.5) / 8)
        np.testing.assert_allclose(found.evidence.mean((3, 4)), found.eye_logits, atol=1e-5)
    assert np.abs(errors).max() < 0.1
    expected = {("canonical", False): [-0.4375, 0.4375], ("canonical", True): [-0.4375, 0.4375]}
    apart = [0.0, 0.0] if mirrored else [-0.4375, -0.4375]
    np.testing.assert_allclose(found.map_shift[:, 0], expected.get((laterality, mirrored), apart))
    np.testing.assert_allclose(found.map_shift[:, 1], -0.4375)


def test_a_mirrored_visit_has_the_mirrored_maps() -> None:
    data = dots(128, (50, 61), (33, 70))
    turned = Visits(mirror(data.batch, torch.tensor([True])).fundus)
    one, two = (predict(Seer(), each, 1, "swap", True, True).evidence for each in (data, turned))
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one, two[:, ::-1, ..., ::-1], atol=1e-6)


def test_no_shift_is_as_before_to_the_bit() -> None:
    network, data = Seer(0, 3, 2), dots(64, (20, 30), (40, 22))
    assert map_shift(network, 64) == (0, 0)
    found = predict(network, data, 1, "swap", True, True)
    with torch.inference_mode():
        plain, turned = network(data.batch), network(mirror(data.batch, torch.tensor([True])))
    assert (found.evidence == ((plain.evidence + turned.evidence.flip(1, -1)) / 2).numpy()).all()
    values = found.evidence[0, 0, 0]
    geometry = Geometry(90, 70, 3.5, -4.0, 77.0, 64)
    assert (geometry.place(values) == geometry.place(values, (0.0, 0.0))).all()


def test_pictures_move_by_the_shift() -> None:
    values = np.zeros((8, 8), np.float32)
    values[3, 4] = 5
    geometry = Geometry(160, 160, 0.0, 0.0, 160.0, 64)
    for drawn in (geometry.place(values, (-0.5, 0.25)), paint.smooth(values, 160, 160, (-0.5, 0.25))):
        rows, columns = np.nonzero(drawn > 0.99 * drawn.max())
        assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((4.0 * 20, 3.75 * 20), abs=0.6)
    assert peak(values, (-0.5, 0.25)) == (4.0 / 8, 3.75 / 8)
    corner = np.zeros((8, 8), np.float32)
    corner[1, 1] = 1  # its centre lies outside the round field once it is placed
    assert peak(corner) == (1.5 / 8, 1.5 / 8)
    assert peak(corner, (-0.5, -0.5)) != (1.0 / 8, 1.0 / 8)


def test_joined_stages_sit_where_the_finest_does() -> None:
    """The middle of all would put a map of three stages a whole element away from what it shows."""
    joined = feature_placement(make_trunk("mobilenetv2_035", "none", 128, (8, 16, 32)), 128)
    finest = feature_placement(make_trunk("mobilenetv2_035", "none", 128, (8,)), 128)
    assert joined.shift == finest.shift == pytest.approx((-0.4375, -0.4375))
