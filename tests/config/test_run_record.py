"""The record of a run holds what its outputs may not: time, host, commit, versions."""

import json
import time
from pathlib import Path

import pytest

from alexnet.config.stage import record_run


def test_run_record_has_duration_commit_host_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    record_run("train", time.time() - 5)
    run = json.loads((tmp_path / ".scratch/train/run.json").read_text())
    assert 5 <= run["seconds"] < 60
    assert {"commit", "host", "started", "command"} <= set(run)
    assert "torch" in run["packages"]
