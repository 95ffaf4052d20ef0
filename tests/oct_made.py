"""What the tests of made B-scans share."""

from __future__ import annotations

from eyeground.phantom.oct import section
from eyeground.phantom.traits import EyeTraits


def kind_of(eye: EyeTraits) -> str:
    if eye.labels == ("N",):
        return "normal"
    if eye.amd:
        return eye.amd if eye.labels == ("A",) else "other"
    return "dme" if "D" in eye.labels and section.macular_oedema(eye) else "other"
