"""The command's door: help, near misses, one-line errors, and starting without torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from eyeground.cli.main import COMMANDS, main


def test_list_and_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"methods", "layouts", "explainers", "trunks"}
    assert all(row["name"] and row["line"] for rows in found.values() for row in rows)
    assert {"odir", "odir-release", "folder", "idrid", "idrid-lesions", "messidor2"} <= {
        row["name"] for row in found["layouts"]
    }
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["train"]["torch"]
    assert main(["list"]) == 0
    assert main(["doctor"]) == 0


def test_unknown_commands_get_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in ((["trian"], "'train'"), (["cohort", "chek"], "'cohort check'"), (["cohort"], "cohort")):
        assert main(words) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert expected in message


def test_unknown_flags_are_refused_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--layout", "odir", "--root", ".", "--split", "s", "--out", "o", "--epocs", "3"])
    assert ended.value.code == 2
    assert "--epochs" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    assert "usage: eyeground" in capsys.readouterr().out


def test_help_cohort_and_score_start_without_torch() -> None:
    code = (
        "import sys\n"
        "from eyeground.cli.main import main\n"
        "assert main(['--help']) == 0 and main(['list']) == 0\n"
        "for words in (['cohort', 'check'], ['cohort', 'describe'], ['cohort', 'split'], ['score'], ['phantom']):\n"
        "    try:\n"
        "        main([*words, '--help'])\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code == 0\n"
        "assert not {'torch', 'timm', 'lightning'} & set(sys.modules), 'something heavy was imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
