"""Data sets on disk become `Cohort`s: one file per published layout, each with `read(root, options) -> Cohort`."""

from __future__ import annotations

import importlib
from pathlib import Path

from eyeground.cohorts.options import CohortOptions
from eyeground.errors import UsageError, nearest
from eyeground.records import Cohort

__all__ = ["LAYOUTS", "CohortOptions", "read_cohort"]

LAYOUTS: dict[str, tuple[str, str]] = {
    "odir": ("the ODIR-2019 challenge's workbook and image folder", "eyeground.cohorts.odir"),
    "odir-release": ("OIA-ODIR: training, off-site and on-site folders", "eyeground.cohorts.odir_release"),
    "odir-kaggle": ("Kaggle's full_df.csv and its image folder", "eyeground.cohorts.odir_kaggle"),
    "idrid": (
        "IDRiD, part B: graded photographs (DR 0 to 4, risk of macular oedema 0 to 2)",
        "eyeground.cohorts.idrid",
    ),
    "idrid-lesions": (
        "IDRiD, part A: photographs with masks of four lesion types and the optic disc",
        "eyeground.cohorts.idrid_lesions",
    ),
    "eyepacs": ("Kaggle's retinopathy competition of 2015: both eyes, DR 0 to 4", "eyeground.cohorts.eyepacs"),
    "aptos2019": ("Kaggle's APTOS 2019 competition: DR 0 to 4", "eyeground.cohorts.aptos"),
    "ddr": ("DDR, grading part: DR 0 to 4 and ungradable", "eyeground.cohorts.ddr"),
    "ddr-lesions": ("DDR, segmentation part: masks of four lesion types", "eyeground.cohorts.ddr_lesions"),
    "messidor2": ("Messidor-2 with adjudicated grades: DR 0 to 4, DME, both eyes", "eyeground.cohorts.messidor2"),
    "diaretdb1": ("DIARETDB1 1.1: four lesion types where 0.75 of experts agree", "eyeground.cohorts.diaretdb1"),
    "tvhl": ("fundus photographs (and OCT, counted) of Mexico: DR none, NPDR or PDR; DME", "eyeground.cohorts.tvhl"),
    "rfmid": ("RFMiD: 45 findings and the risk of any", "eyeground.cohorts.rfmid"),
    "folder": ("your own photographs with a cohort.csv", "eyeground.cohorts.folder"),
}
"""Layout name to its one-line description and the module that reads it."""


def read_cohort(layout: str, root: Path, options: CohortOptions | None = None) -> Cohort:
    """Reads a cohort.

    Args:
        layout: a name in `LAYOUTS`.
        root: the cohort's folder.
        options: how to read it; the defaults follow the publishers.

    Raises:
        UsageError: no such layout, or endpoints of one without grades.
        DataError: what is on disk is not that layout; one sentence says what and where.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"no layout '{layout}'{nearest(layout, LAYOUTS)} (there are {', '.join(LAYOUTS)})")
    module = importlib.import_module(LAYOUTS[layout][1])
    options = options or CohortOptions()
    cohort: Cohort = module.read(Path(root), options)
    if strange := set(options.endpoints) - set(cohort.vocabulary.codes):
        raise UsageError(f"layout {layout} has no grades, so no --endpoints {' '.join(sorted(strange))}; leave it out")
    return cohort
