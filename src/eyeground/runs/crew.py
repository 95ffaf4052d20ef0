"""A crew of worker processes that may die: each holds one task, so a death costs one task, and which is known.

`concurrent.futures` gives up the whole pool, and every task in it, when one process is killed. Here the task is given
to a new process once more, and told as `Lost` when that one dies of it too.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from eyeground.errors import DataError, EyegroundError

CHANCES = 2
"""So many processes may die of a task."""
FALSE_STARTS = 3
"""So many processes in a row may die before they are ready."""


@dataclass(frozen=True)
class Lost:
    """In place of an answer: why there is none, in words."""

    reason: str


@dataclass
class _Held:
    task: Any
    deaths: int = 0


@dataclass
class _Worker:
    process: SpawnProcess
    link: Connection
    held: _Held | None = None
    ready: bool = False


class Crew:
    """Processes that run `work = start()` once and then `work(task)` for one task at a time.

    `start` is pickled, so it is a module's function or a `partial` of one, as are tasks and answers.
    """

    def __init__(self, start: Callable[[], Callable[[Any], Any]], size: int) -> None:
        self.start, self.size = start, max(1, size)
        self.context = multiprocessing.get_context("spawn")  # forking a process that holds threads can hang
        self.workers: list[_Worker] = []
        self.waiting: deque[_Held] = deque()
        self.false_starts = 0

    def run(self, tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yields (task, answer or `Lost`) as they come, not in order; tasks are taken one by one as they are needed.

        Raises:
            DataError: `start` or `work` refused with an `EyegroundError`, or processes die before they are ready.
        """
        coming = iter(tasks)
        try:
            while True:
                self._fill(coming)
                if not self.waiting and all(worker.held is None for worker in self.workers):
                    return
                while len(self.workers) < self.size:
                    self._hire()
                for worker in self.workers:
                    if worker.ready and worker.held is None and self.waiting:
                        self._give(worker, self.waiting.popleft())
                        self._fill(coming)
                yield from self._heard()
        finally:
            self._dismiss()

    def _fill(self, coming: Iterator[Any]) -> None:
        """Afterwards nobody waits only if nothing is left."""
        if not self.waiting:
            self.waiting.extend(_Held(task) for task in islice(coming, 1))

    def _hire(self) -> None:
        here, there = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(self.start, there), daemon=True)
        process.start()
        there.close()
        self.workers.append(_Worker(process, here))

    def _give(self, worker: _Worker, held: _Held) -> None:
        worker.held = held
        with suppress(OSError):  # it is dead, which the next `wait` tells
            worker.link.send(held.task)

    def _heard(self) -> Iterator[tuple[Any, Any]]:
        """Waits until somebody has something to say, or is dead."""
        heard = wait([worker.link for worker in self.workers])
        for worker in [one for one in self.workers if one.link in heard]:
            try:
                kind, value = worker.link.recv()
            except (EOFError, OSError):
                yield from self._bury(worker)
                continue
            if kind == "refused":
                raise DataError(value)
            if kind == "ready":
                worker.ready, self.false_starts = True, 0
                continue
            assert worker.held is not None
            task, worker.held = worker.held.task, None
            yield task, value

    def _bury(self, worker: _Worker) -> Iterator[tuple[Any, Any]]:
        """Takes a dead worker out; its task is tried again, or lost."""
        worker.process.join()
        worker.link.close()
        self.workers.remove(worker)
        how = _how(worker.process.exitcode)
        if not worker.ready:
            self.false_starts += 1
            if self.false_starts >= FALSE_STARTS:
                raise DataError(f"a process that reads {how} before it was ready; use fewer --workers (memory?)")
        held = worker.held
        if held is None:
            return
        held.deaths += 1
        if held.deaths < CHANCES:
            self.waiting.append(held)
            return
        yield held.task, Lost(f"the process that read it {how}, {held.deaths} times (no memory, or a harmful file)")

    def _dismiss(self) -> None:
        for worker in self.workers:
            worker.link.close()
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
        self.workers.clear()


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"died of {-code}"
    return f"ended with code {code}"


def _serve(start: Callable[[], Callable[[Any], Any]], link: Connection) -> None:
    """A worker's life: ends with its parent, whose end of the link closes whichever way it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, who decides
    try:
        work = start()
        link.send(("ready", None))
        while True:
            link.send(("done", work(link.recv())))
    except EyegroundError as error:
        with suppress(OSError):
            link.send(("refused", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
