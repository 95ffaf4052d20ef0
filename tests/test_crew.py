"""A crew's processes may die at any time: nothing is lost, nothing is done in silence."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from eyeground.errors import DataError
from eyeground.runs.crew import Crew, Lost


def square() -> Callable[[Any], Any]:
    return _square


def _square(task: int) -> int:
    return task * task


def mortal(folder: Path) -> Callable[[Any], Any]:
    """Task 3 kills its process once, task 5 always, task 7 leaves with a code."""
    return partial(_mortal, folder)


def _mortal(folder: Path, task: int) -> int:
    with (folder / f"{task}").open("a") as stream:
        stream.write("x")
    if task == 5 or (task == 3 and len((folder / "3").read_text()) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if task == 7:
        os._exit(4)
    return task * task


def refusing() -> Callable[[Any], Any]:
    raise DataError("there is no model")


def stillborn() -> Callable[[Any], Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return _square


def full() -> Callable[[Any], Any]:
    return _full


def _full(task: int) -> int:
    if task == 2:
        raise DataError("no space left on the disk")
    return task


def test_every_task_has_its_answer_once_and_tasks_are_taken_as_needed() -> None:
    taken: list[int] = []

    def tasks() -> Any:
        for number in range(40):
            taken.append(number)
            yield number

    answers = {}
    for task, answer in Crew(square, 2).run(tasks()):
        assert task not in answers
        answers[task] = answer
        assert len(taken) <= len(answers) + 4, "read ahead no further than the processes can hold"
    assert answers == {number: number**2 for number in range(40)}
    assert list(Crew(square, 2).run([])) == []


def test_a_task_is_given_again_when_its_process_dies_and_told_as_lost_when_that_one_dies_too(tmp_path: Path) -> None:
    answers = dict(Crew(partial(mortal, tmp_path), 2).run(range(10)))
    assert sorted(answers) == list(range(10))
    lost = {task: answer.reason for task, answer in answers.items() if isinstance(answer, Lost)}
    assert sorted(lost) == [5, 7]
    assert "killed by SIGKILL, 2 times" in lost[5]
    assert "ended with code 4, 2 times" in lost[7]
    assert answers[3] == 9
    assert [len((tmp_path / str(task)).read_text()) for task in (1, 3, 5, 7)] == [1, 2, 2, 2]


def test_refusals_end_the_run_and_so_do_processes_that_never_get_ready() -> None:
    with pytest.raises(DataError, match="there is no model"):
        list(Crew(refusing, 2).run(range(3)))
    with pytest.raises(DataError, match=r"killed by SIGKILL before it was ready; use fewer --workers"):
        list(Crew(stillborn, 2).run(range(3)))
    with pytest.raises(DataError, match="no space left"):
        list(Crew(full, 1).run(range(9)))


def test_who_stops_listening_leaves_no_process_behind() -> None:
    crew = Crew(square, 2)
    running = crew.run(range(1000))
    next(running)
    processes = [worker.process for worker in crew.workers]
    running.close()
    deadline = time.monotonic() + 10
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(process.is_alive() for process in processes)
