"""`eyeground`: finds the command, runs it, and turns refusals into one line on standard error.

Commands are imported only when called, so `--help`, `cohort` and `score` start without torch.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from eyeground import DISCLAIMER, __version__
from eyeground.errors import EyegroundError, UsageError, nearest

COMMANDS = {
    "cohort check": ("cohort_check", "what is there, what is missing, what is suspicious"),
    "cohort describe": ("cohort_describe", "the data in pictures: age, sex, labels, co-occurrence, one eye or both"),
    "cohort duplicates": ("cohort_duplicates", "photographs that are there twice, within a cohort or between two"),
    "cohort balance": ("cohort_balance", "what class-balance factors make of a cohort, label by label"),
    "cohort synthesise": ("cohort_synthesise", "changed copies of photographs with rare labels, made before a split"),
    "cohort split": ("cohort_split", "patients into folds, grouped by patient and duplicate photographs"),
    "protocol list": ("protocol_list", "the named protocols for parting a cohort, with their hashes"),
    "protocol show": ("protocol_show", "a protocol as TOML, to read, or to edit and give as a file"),
    "protocol check": ("protocol_check", "whether a split was made under a protocol"),
    "train": ("train", "train a method on a split; resumes when called again"),
    "calibrate": ("calibrate", "calibration, thresholds and label sets chosen again on the validation part"),
    "operating-point": ("operating_point", "thresholds for a sensitivity, a specificity or a PPV that is wanted"),
    "combine": ("combine", "several bundles as one: the mean of their networks"),
    "export": ("export", "a copy of a bundle that ONNX Runtime reads, for machines without torch"),
    "evaluate": ("evaluate", "judge a bundle on a cohort"),
    "blend": ("blend", "several networks and both eyes, blended by a forest, a dense net or the mean"),
    "localise": ("localise", "whether the heatmaps point at the lesions, where masks are known"),
    "faithfulness": ("faithfulness", "whether the heatmaps name what moved the score, beside floors"),
    "weights": ("weights", "how much a model gave to each eye, and whether the affected eye got more"),
    "score": ("score", "the challenge's scoring for anybody's predictions"),
    "compare": ("compare", "which of several systems is better, by how much, how certainly"),
    "replicate": ("replicate", "a grid of trainings from a file, and which of the papers' claims hold"),
    "card": ("card", "the model card and reporting checklists, filled with what the run proves"),
    "submit": ("submit", "the challenge's submission file from a folder of images"),
    "read": ("read", "two photographs to probabilities, heatmaps and a report"),
    "phantom": ("phantom", "a made cohort whose truth is known: fundus pairs, labels, masks"),
    "list": ("listing", "methods, layouts and trunks that are here"),
    "doctor": ("doctor", "what this installation has and can do"),
}


def usage() -> str:
    """The overview that `eyeground --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"eyeground {__version__}: reads both eyes. {DISCLAIMER}", "", "usage: eyeground COMMAND [flags]", ""]
    lines += [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join([*lines, "", "eyeground COMMAND --help tells a command's flags."])


def find(argv: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Splits the arguments into the command's name and the rest. Raises `UsageError` for an unknown command."""
    for words in (2, 1):
        name = " ".join(argv[:words])
        if name in COMMANDS:
            return name, argv[words:]
    groups = {name.split()[0] for name in COMMANDS if " " in name}
    word = " ".join(argv[:2]) if argv[0] in groups else argv[0]
    raise UsageError(f"no command '{word}'{nearest(word, COMMANDS)} (eyeground --help lists them)")


def run(argv: Sequence[str]) -> int:
    """Runs one command; returns the exit code. `EyegroundError`s pass through."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
        return 0
    if argv[0] in ("-V", "--version"):
        sys.stdout.write(f"eyeground {__version__}\n")
        return 0
    name, rest = find(argv)
    try:
        module = importlib.import_module(f"eyeground.cli.{COMMANDS[name][0]}")
        return int(module.main(rest))
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision", "timm", "lightning", "sklearn"):
            raise
        raise UsageError(f"'{name}' needs {error.name}: pip install 'eyeground[train]'") from error


def main(argv: Sequence[str] | None = None) -> int:
    """The program's door: exit code 0 done, 1 training failed, 2 usage or data, 130 interrupted."""
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except EyegroundError as error:
        sys.stderr.write(f"eyeground: error: {' '.join(str(error).split())}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("eyeground: interrupted; the same command goes on where it stopped\n")
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
