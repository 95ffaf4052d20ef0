"""Do age and sex add anything to the photographs? A logistic regression beside the logits, on the validation part.

    python -m benchmarks.box.age_sex --root ODIR_FOLDER [--bundle FOLDER]

For every label: the bundle's logit alone, and with age (standardised, the mean where unknown) and sex, cross-validated
ten times over patients (L2, C = 0.3). Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks import record
from eyeground.cli.main import run
from eyeground.cohorts import read_cohort
from eyeground.metrics.predictions import read_predictions
from eyeground.records import label_arrays
from eyeground.runs.engine import BOX
from eyeground.vocabulary import ODIR

REPEATS = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.box.age_sex", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="the ODIR-5K challenge's workbook and image folder")
    parser.add_argument("--bundle", type=Path, default=BOX)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["--layout", "odir", "--root", str(arguments.root), "--part", "val", "--both-eyes", "--draws", "0"]
        run(["evaluate", "--bundle", str(arguments.bundle), *words, "--out", folder])
        said = read_predictions(Path(folder) / "predictions.csv", ODIR.codes)
    visits = {visit.id: visit for visit in read_cohort("odir", arguments.root).visits}
    chosen = [visits[name] for name in said.ids]
    truth, _ = label_arrays([visit.labels for visit in chosen], len(ODIR))
    logits = np.log(said.probability) - np.log1p(-said.probability)
    age = np.array([np.nan if visit.age is None else visit.age for visit in chosen])
    age = np.nan_to_num((age - np.nanmean(age)) / np.nanstd(age))
    sex = np.array([{"F": 1.0, "M": -1.0, None: 0.0}[visit.sex] for visit in chosen])
    figures: dict[str, Any] = {"n": len(chosen), "repeats": REPEATS}
    for name, extra in (("logits", []), ("with age and sex", [age, sex])):
        figures[name] = _areas(logits, truth, extra)
    figures["age alone"] = {c: roc_auc_score(truth[:, i], age) for i, c in enumerate(ODIR.codes)}
    for name in ("logits", "with age and sex"):
        print(f"{name:<17} macro AUC {figures[name]['macro']:.4f}")
    print(f"recorded in {record.write('box_age_sex', figures)}")


def _areas(
    logits: NDArray[np.float64], truth: NDArray[np.float32], extra: list[NDArray[np.float64]]
) -> dict[str, float]:
    """AUC by label of the cross-validated scores, the mean over the repeats, and their mean."""
    found: dict[str, float] = {}
    for i, code in enumerate(ODIR.codes):
        columns, areas = np.column_stack([logits[:, i], *extra]), []
        for seed in range(REPEATS):
            folds = KFold(10, shuffle=True, random_state=seed)
            scores = cross_val_predict(
                LogisticRegression(C=0.3), columns, truth[:, i], cv=folds, method="decision_function"
            )
            areas.append(roc_auc_score(truth[:, i], scores))
        found[code] = float(np.mean(areas))
    return {**found, "macro": float(np.mean(list(found.values())))}


if __name__ == "__main__":
    main()
