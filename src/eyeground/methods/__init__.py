"""The registry: every published method is one file of this folder, and one row here.

A method module holds

* `Config`, a frozen dataclass with the paper's choices as defaults, and `RECIPE`, the paper's own training recipe as
  fields of `runs.recipe.Recipe` that differ from the shared defaults;
* `build(config, vocabulary, size) -> nn.Module` that maps a `Batch` to an `Output`. The trunk, where there is one, is
  called `trunk` (a second one `trunk_...`), so that it can learn at its own rate;
* `loss(model, batch, config) -> dict of named parts with 'total'`;
* `maps(config) -> str`: what its evidence maps explain, or why there are none;
* `swap(config)`: `same` where an exchange of left and right eye leaves every visit logit as it is, else `differs`.

It may hold `start(model, config, labels, known)`: what the training part's eye labels tell the model before the first
step; and `eye_weights(model, batch) -> (alpha, beta)`, each (B, E): how much each eye counted, for `eyeground weights`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from eyeground.errors import UsageError, nearest


@dataclass(frozen=True)
class MethodEntry:
    """A row of the registry: the module that holds the method, and what it is in one line.

    `paper` cites it. `published` is the reported number of parameters in millions (None: not reported), `counted` says
    where ours at the default `Config` comes from or why it differs.
    """

    module: str
    line: str
    paper: str = ""
    published: float | None = None
    counted: str = ""


METHODS = {
    "pair": MethodEntry(
        "eyeground.methods.pair", "baseline: one shared trunk, an evidence map per label and eye, a named fusion"
    ),
    "aubnet": MethodEntry(
        "eyeground.methods.aubnet",
        "two levels of eye weights, each eye by itself and beside the other; its ablations and plain rivals",
        paper="He et al., ISBI 2020",
        counted="24.57 M: a ResNet-50 (23.51) and dense layers 2048 to 512 to 8; 11.44, 21.55 and 43.56 M with "
        "ResNet-18, -34 and -101; the weighing takes 6146. The paper gives no number.",
    ),
    "odir_benchmark": MethodEntry(
        "eyeground.methods.odir_benchmark",
        "a zoo of trunks with sum, product or concatenation of two eyes, plain or class-weighted loss",
        paper="Li et al., Bench 2020",
        counted="41.16 M: an Inception-v4 and one linear layer; 14.72 M with VGG-16 (no dense layers), 23.52 M with "
        "ResNet-50, 6.96 M with DenseNet-121. The paper gives no number.",
    ),
    "bfenet": MethodEntry(
        "eyeground.methods.bfenet",
        "each eye asks a joint map of both, after dilated convolutions of three reaches",
        paper="Ou et al., CMPB 219:106739, 2022",
        published=82.6,
        counted="83.03 M: a ResNet-50 (23.5) with MS of 341/341/342 channels (18.9), FE (5.0) and the head from 8192 "
        "(35.7); the paper's widths are not known, these come closest",
    ),
    "dcnet": MethodEntry(
        "eyeground.methods.dcnet",
        "every place of one eye's map attends to all places of the other's; sum, product and concatenation beside it",
        paper="Li et al., ISBI 2020; He et al., BSPC 63:102167, 2021",
        published=74.2,
        counted="50.93 M: a ResNet-101 (42.5) with a correlation module of half its width, the same for both eyes "
        "(8.4); 76.10 M at full width with one per direction (scm_width 2048, scm_shared off) comes nearest",
    ),
    "dkcnet": MethodEntry(
        "eyeground.methods.dkcnet",
        "single eyes: dilated 2x2 convolutions behind the trunk, rare labels shown more often",
        paper="Bhati et al., Comput Biol Med 2023",
        published=96.0,
        counted="82.94 M: InceptionResNet-v2 without its classifier 54.3 M, three dense 2x2 convolutions of 1536 "
        "channels 28.3 M, excitation 0.3 M, head 0.01 M. About 96 M is from a secondary source, which also prints "
        "88.4 M; a fourth branch would make it 92.4 M, so its block was wider in a way that is not told.",
    ),
    "mcg_net": MethodEntry(
        "eyeground.methods.mcg_net",
        "classifiers from a graph of labels that occur together; with a pretext task MCGS-Net",
        paper="Lin et al., IEEE Signal Processing Letters 2021",
        counted="44.61 M: a ResNet-101 (42.5) and two graph layers (2.1); the paper's own count is not on record",
    ),
    "bfpc_net": MethodEntry(
        "eyeground.methods.bfpc_net",
        "attention in place of the trunk's last stage, convolutions over both eyes' joined maps",
        paper="Li et al., Micromachines 13:947, 2022",
        counted="19.50 M: a ResNet-50 up to stride 16 (8.54), the attention block (1.25), the fusion's convolutions to "
        "512 channels (9.70) and the last layer; the paper's own count is not known, nor is its fusion's width",
    ),
    "gour_khanna": MethodEntry(
        "eyeground.methods.gour_khanna",
        "both eyes at once through one VGG16, features side by side; or each eye by itself",
        paper="Gour & Khanna, BSPC 66:102329, 2021",
        published=15.2,
        counted="15.24 M: one VGG16 without its dense layers for both eyes (14.71), a dense layer of 512 on both eyes' "
        "means (0.52) and the last layer",
    ),
    "shallow_cnn": MethodEntry(
        "eyeground.methods.shallow_cnn",
        "single eyes: five convolutions from scratch, the small end of the scale",
        paper="Islam et al., IEEE SPICSCON 2019",
        published=1.1,
        counted="1.08 M at 224 px: five convolutions (0.28), a dense layer of 128 (0.80) and the last one; the paper's "
        "list of layers is not known",
    ),
    "dual_efficientnet": MethodEntry(
        "eyeground.methods.dual_efficientnet",
        "two EfficientNets on two histogram-equalised views of both eyes side by side",
        paper="Wang et al., IEEE Access 2020",
        counted="21.42 M: two EfficientNet-B3 (10.70 each) and one linear layer; the paper gives no count",
    ),
    "image_mining": MethodEntry(
        "eyeground.methods.image_mining",
        "single eyes: nets that find lesions from labels alone, their sensitivity made sparse",
        paper="Quellec et al., MedIA 39:178-193, 2017",
        counted="8.15 M: net A at 448 px with 8 labels; net B 8.18 M; with a bias for every place, as their authors "
        "had it, 12.40 and 12.47 M; AlexNet 57.04 M. The paper's own count is not on record.",
    ),
    "two_experts": MethodEntry(
        "eyeground.methods.two_experts",
        "one reader for eyes with one label, one for several, and a gate between them",
        counted="23.54 M: a ResNet-50 (23.51) under two heads of 8 labels and a gate; 47.05 M with a trunk for each "
        "expert (shared_trunk off). There is no paper.",
    ),
}
"""In the order in which `eyeground list` and docs/methods.md name them."""


def find_method(name: str) -> ModuleType:
    """Imports a method's module. Raises `UsageError` with the nearest match for an unknown name."""
    if name not in METHODS:
        raise UsageError(f"no method '{name}'{nearest(name, METHODS)} (eyeground list names them)")
    return importlib.import_module(METHODS[name].module)
