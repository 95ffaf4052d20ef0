"""What goes wrong, said in one sentence: what is wrong, where, and how to mend it.

Every refusal meant for a person is an `EyegroundError`. The command line prints its text on one line of
standard error and leaves with `exit_code`; everything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EyegroundError(Exception):
    """A refusal with a sentence for the user."""

    exit_code = 2


class UsageError(EyegroundError):
    """The command or configuration asks for something that does not exist."""


class DataError(EyegroundError):
    """A file or table is not what it should be."""


class ImageError(DataError):
    """One photograph can't be read; callers that hold a fellow eye may go on without it."""


class LeakError(DataError):
    """Evaluation patients or photographs were (or would be) seen in training."""


class BundleError(DataError):
    """A trained model's folder is incomplete, altered or from a newer version."""


class TrainingError(EyegroundError):
    """Training can't go on: a number that is not finite, or no memory."""

    exit_code = 1


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns `"; did you mean 'x'?"` for the closest known word, or an empty string."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else ""
