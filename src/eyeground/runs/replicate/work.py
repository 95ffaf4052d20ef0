"""Work on a grid's runs: one child process per device, each run a training and a judgement, one after the other.

A run that fails is put down with its reason, and the others go on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyeground.errors import EyegroundError
from eyeground.files import write_json
from eyeground.runs.replicate.plan import Item, Site
from eyeground.runs.replicate.rows import row_of

CHILD = "eyeground.runs.replicate.child"
PATIENCE = 10.0
"""Seconds that an interrupted child has before it is killed."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code (minus the signal), wall seconds, peak memory in bytes (None: not told here)."""

    code: int
    seconds: float
    peak: int | None


class Queue:
    """The runs to do, in order; a run that would end after the budget is passed over."""

    def __init__(self, items: Sequence[Item], minutes: float | None) -> None:
        self.items = list(items)
        self.end = None if minutes is None else time.monotonic() + 60 * minutes
        self.stop = threading.Event()
        self.lock = threading.Lock()

    def take(self) -> Item | None:
        """The next run that fits into what is left of the budget."""
        with self.lock:
            for item in () if self.stop.is_set() else self.items:
                if self.end is None or time.monotonic() + (item.seconds or 0.0) <= self.end:
                    self.items.remove(item)
                    return item
        return None


def work(items: Sequence[Item], site: Site, minutes: float | None, say: Say) -> list[Item]:
    """Does the runs; returns those that the budget left. Raises `KeyboardInterrupt` once the children have ended."""
    queue = Queue(items, minutes)
    before = signal.getsignal(signal.SIGTERM)
    here = threading.current_thread() is threading.main_thread()
    if here:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    threads = [threading.Thread(target=_worker, args=(queue, site, device, say)) for device in site.devices]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except KeyboardInterrupt:
        queue.stop.set()
        for thread in threads:
            thread.join()
        raise
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)
    return queue.items


def _worker(queue: Queue, site: Site, device: str | None, say: Say) -> None:
    while (item := queue.take()) is not None:
        where = f" on device {device}" if len(site.devices) > 1 else ""
        about = f", about {item.seconds / 60:.0f} min" if item.seconds else ""
        say(f"{item.run.name}: begins{where}{about}; {len(queue.items)} more after it")
        try:
            reason = _do(item, site, device, queue.stop)
        except EyegroundError as error:  # what the child wrote is not what a row needs
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - one run's surprise must not end the others
            reason = f"{type(error).__name__}: {error}"
        if queue.stop.is_set():
            say(f"{item.run.name}: stopped")
            return
        if reason is None:
            site.failure(item.run).unlink(missing_ok=True)
            say(f"{item.run.name}: done")
        else:
            reason = " ".join(reason.split())
            write_json(site.failure(item.run), {"run": item.run.name, "spec": item.spec, "reason": reason})
            say(f"{item.run.name}: failed: {reason}")


def _do(item: Item, site: Site, device: str | None, stop: threading.Event) -> str | None:
    """One run as far as it is not there yet; None when its row is written, else why not."""
    folder = site.folder(item.run)
    cost: dict[str, Any] = {"train": None, "evaluate": None}
    for step, words in site.commands(item):
        if step == "train":
            write_json(folder / "spec.json", item.spec)
        ended = run_child(words, site.log(item.run), device, stop)
        if stop.is_set():
            return "stopped"
        if ended.code != 0:
            return reason_of(ended, site.log(item.run), step)
        cost[step] = {"wall_seconds": round(ended.seconds, 1), "peak_bytes": ended.peak}
        if step == "train":  # kept, for the judgement may be another call's
            write_json(folder / "cost.json", cost)
    write_json(site.row(item.run), row_of(item.run, item.spec, folder, cost))
    return None


def run_child(words: Sequence[str], log: Path, device: str | None, stop: threading.Event) -> Ended:
    """Runs `eyeground WORDS` as a process of its own, its output added to `log`; interrupts it when `stop` is set."""
    env = dict(os.environ) if device is None else {**os.environ, "CUDA_VISIBLE_DEVICES": device}
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("ab") as stream:
        stream.write(f"$ eyeground {' '.join(words)}\n".encode())
        stream.flush()
        child = subprocess.Popen(
            [sys.executable, "-m", CHILD, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # notes and refusals go to standard error
            stderr=stream,
            env=env,
            start_new_session=True,
        )
        code, peak = _wait(child, stop)
        assert child.stdin is not None
        child.stdin.close()
    return Ended(code, time.monotonic() - started, peak)


def _wait(child: subprocess.Popen[bytes], stop: threading.Event) -> tuple[int, int | None]:
    """Exit code and peak memory; once `stop` is set the child is interrupted, and killed when it takes too long."""
    asked = 0.0
    while True:
        found = _ended(child)
        if found is not None:
            _kill_the_rest(child.pid)
            return found
        if stop.is_set() and not asked:
            asked = time.monotonic()
            child.send_signal(signal.SIGINT)
        elif asked and time.monotonic() - asked > PATIENCE:
            child.kill()
        time.sleep(0.1)


def _kill_the_rest(group: int) -> None:
    """Ends what a child that has ended left behind: its own processes, such as those that prepare photographs."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _ended(child: subprocess.Popen[bytes]) -> tuple[int, int | None] | None:
    """None while the child runs."""
    if not hasattr(os, "wait4"):
        code = child.poll()
        return None if code is None else (code, None)
    pid, status, used = os.wait4(child.pid, os.WNOHANG)
    if not pid:
        return None
    child.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
    return child.returncode, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reason_of(ended: Ended, log: Path, step: str) -> str:
    """One line on why a child failed: its refusal, the last line of its traceback, or the signal that killed it."""
    if ended.code < 0:
        name = signal.Signals(-ended.code).name
        more = " (mostly: the machine's memory is short)" if name == "SIGKILL" else ""
        return f"{step} was killed by {name}{more}"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("eyeground: error: ")]
    last = told[-1].removeprefix("eyeground: error: ") if told else lines[-1] if lines else "no word"
    return f"{step}: {last}"
