"""The bundle: whole, unaltered and understood, or refused with the reason."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from batches_made import made_batch
from conftest import Made
from eyeground.errors import BundleError, DataError
from eyeground.files import folder_aside
from eyeground.runs.bundle import FILES, load_bundle
from eyeground.runs.model import load


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    shutil.copytree(made.bundle, folder)
    return folder


def test_loading_twice_gives_the_same_model_to_the_bit(made: Made, copy: Path) -> None:
    one, two = load(made.bundle), load(copy)
    batch = made_batch(size=64)
    with torch.inference_mode():
        assert torch.equal(one.network(batch).visit_logits, two.network(batch).visit_logits)
    assert one.bundle.digest == two.bundle.digest


def test_a_bundle_holds_what_the_format_says_and_no_pickle(made: Made) -> None:
    names = {path.name for path in made.bundle.iterdir()}
    assert names == {*FILES, "manifest.json"}
    bundle = load_bundle(made.bundle)
    assert bundle.vocabulary.codes == ("N", "D", "G", "C", "A", "H", "M", "O")
    assert bundle.config["method"]["trunk_weights"] == "none"
    assert all(0 < value < 1 for value in bundle.threshold_values())
    assert bundle.evidence_scale > 0


@pytest.mark.parametrize("name", FILES)
def test_any_altered_or_missing_file_is_named(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"altered: {name}"):
        load_bundle(copy)
    path.unlink()
    with pytest.raises(BundleError, match=f"incomplete: {name} is missing"):
        load_bundle(copy)


def test_newer_formats_and_edited_manifests_are_refused(copy: Path) -> None:
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "format": 99, "eyeground_version": "9.9"}))
    with pytest.raises(BundleError, match=r"format 99 \(made by eyeground 9\.9\).*update eyeground"):
        load_bundle(copy)
    path.write_text(json.dumps({**manifest, "digest": "0" * 64}))
    with pytest.raises(BundleError, match="does not match its own digest"):
        load_bundle(copy)
    path.write_text(json.dumps([1]))
    with pytest.raises(BundleError, match="not a bundle's manifest"):
        load_bundle(copy)
    path.write_text(json.dumps({"format": 1, "files": {}}))
    with pytest.raises(BundleError, match="not whole"):
        load_bundle(copy)
    path.write_text("{")
    with pytest.raises(BundleError, match="not valid JSON"):
        load_bundle(copy)


def test_the_run_folder_instead_of_its_bundle_gets_a_hint(made: Made, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"did you mean .*bundle"):
        load_bundle(made.run)
    with pytest.raises(BundleError, match="no bundle at"):
        load_bundle(tmp_path)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    target = tmp_path / "bundle"

    def write(fail: bool) -> None:
        with folder_aside(target) as place:
            (place / "weights").write_text("new")
            if fail:
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match="no space left"):
        write(fail=True)
    assert list(tmp_path.iterdir()) == []
    write(fail=False)
    with pytest.raises(DataError, match="no space left"):
        write(fail=True)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
    assert (target / "weights").read_text() == "new"


def test_a_full_disk_while_training_ends_in_a_sentence(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eyeground.cli.main import main
    from test_train import flags

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("eyeground.runs.fit.save", full)
    out = tmp_path / "run"
    assert main(flags(made, out, epochs=1)) == 2
    assert not (out / "bundle").exists()
    assert (out / "checkpoint.pt").is_file(), "the training itself is not lost"
