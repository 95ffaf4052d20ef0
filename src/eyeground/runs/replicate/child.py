"""`python -m` this module with the words of an eyeground command: runs it, and ends when its parent is gone.

The parent holds the other end of standard input. When it dies, however it dies, that end closes and this process and
all it started end too; so no orphan trains on in a folder in which the next call goes on.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Sequence


def main(words: Sequence[str]) -> None:
    """Runs `eyeground WORDS` in this process, which is the first of its own session where sessions are known."""
    threading.Thread(target=_follow_the_parent, daemon=True).start()
    sys.argv = ["eyeground", *words]
    runpy.run_module("eyeground", run_name="__main__", alter_sys=True)


def _follow_the_parent() -> None:
    while os.read(0, 1):
        pass
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
