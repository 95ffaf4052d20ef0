"""`eyeground list`: what can be named in flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from eyeground.cli.console import out, parse, print_json
from eyeground.cohorts import LAYOUTS
from eyeground.explain import EXPLAINERS
from eyeground.methods import METHODS

TRUNKS = {
    "mobilenetv2_100": "MobileNetV2, 2.2 M parameters: quick on a CPU",
    "resnet18": "ResNet-18, 11 M",
    "resnet50": "ResNet-50, 24 M: the default, and what most papers of the field use",
    "resnet101": "ResNet-101, 43 M",
    "efficientnet_b3": "EfficientNet-B3, 11 M",
    "convnext_tiny": "ConvNeXt-T, 28 M",
    "vgg16": "VGG-16, convolutions only, 15 M",
}
"""Trunks that the field's papers use, and a quick one; any timm name that gives a feature map works."""


@dataclass(frozen=True)
class Flags:
    """Names the methods, cohort layouts, explainers and trunks."""

    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "list")
    groups = {
        "methods": [{"name": name, "line": entry.line} for name, entry in METHODS.items()],
        "layouts": [{"name": name, "line": line} for name, (line, _) in LAYOUTS.items()],
        "explainers": [{"name": name, "line": f"{row.line} ({row.unit})"} for name, row in EXPLAINERS.items()],
        "trunks": [{"name": name, "line": line} for name, line in TRUNKS.items()],
    }
    if flags.json:
        print_json(groups)
        return 0
    for title, rows in groups.items():
        table = Table(title=title, title_justify="left", box=None, show_header=False, title_style="bold")
        for row in rows:
            table.add_row(row["name"], row["line"])
        out.print(table)
    out.print("Any other timm trunk that gives a feature map works as well: --trunk NAME", markup=False)
    return 0
