"""Error messages: one line, with the command that fixes the problem."""

import os
import subprocess
from pathlib import Path

from alexnet.runtime.errors import InputError, rebuild_command


def test_message_is_one_line_with_its_fix() -> None:
    assert (
        str(InputError("cannot read\n  a.npy", "dvc repro")) == "cannot read a.npy; fix: dvc repro"
    )
    assert str(InputError("cannot read a.npy")) == "cannot read a.npy"


def test_rebuild_command_also_deletes_the_file_in_the_cache(tmp_path: Path) -> None:
    cached, output = tmp_path / "cache/ab/cd", tmp_path / "output"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"corrupt")
    assert rebuild_command(output, "moments") == "dvc repro -f moments"
    os.link(cached, output)
    dvc = tmp_path / "dvc"
    dvc.write_text(
        f'#!/bin/sh\n[ "$1" = cache ] && echo {tmp_path}/cache || echo "$@" > {tmp_path}/ran\n'
    )
    dvc.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(rebuild_command(output, "moments"), shell=True, env=environment, check=True)
    assert not cached.exists()
    assert (tmp_path / "ran").read_text() == "repro -f moments\n"
