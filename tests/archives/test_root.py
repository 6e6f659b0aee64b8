"""Where the raw data is looked for, and when the miniature is drawn."""

from pathlib import Path

import pytest

from alexnet.archives.root import drawn_folder, open_raw
from alexnet.index.ilsvrc import TRAIN_TAR
from alexnet.runtime.errors import InputError

COUNTS = {"classes": 2, "train_per_class": 3, "val_per_class": 1}


def test_the_environment_overrides_the_configured_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    assert open_raw("raw/elsewhere", 0, None) == tmp_path
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere does not exist.*IMAGENET_ROOT"):
        open_raw("raw/elsewhere", 0, None)
    monkeypatch.delenv("IMAGENET_ROOT")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "raw").mkdir()
    assert open_raw("raw", 0, None) == tmp_path / "raw"


def test_the_miniature_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    first = open_raw("raw/miniature", 0, COUNTS)
    drawn = (first / TRAIN_TAR).stat().st_mtime_ns
    assert open_raw("raw/miniature", 0, COUNTS) == first == drawn_folder("raw/miniature", 0, COUNTS)
    assert (first / TRAIN_TAR).stat().st_mtime_ns == drawn


def test_every_seed_and_count_has_a_folder_of_its_own() -> None:
    folders = {
        drawn_folder("raw/miniature", 0, COUNTS),
        drawn_folder("raw/miniature", 1, COUNTS),
        drawn_folder("raw/miniature", 0, COUNTS | {"val_per_class": 2}),
    }
    assert len(folders) == 3
