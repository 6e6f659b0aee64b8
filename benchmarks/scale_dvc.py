"""DVC on the project's DAG, with stubs that write as many shards as ImageNet has."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from benchmarks import CHECKOUT
from benchmarks.clock import cpu_seconds

SHARDS = {"train": 1252, "val": 49}
FULL = {"train": 20, "val": 1}
TINY_BYTES, SHARD_BYTES = 4096, 205_590_528  # full: 1,024 records of 200,772 bytes
EXTRA_FILES = {"evaluate": ["metrics.json"], "index": ["data/index/classes.csv"]}
COPIED = ("dvc.yaml", "params.yaml", "conf", "src", ".dvc/config")
STUB = """
from pathlib import Path
for path in {files!r}:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(path)
for split, count in {shards!r}.items():
    Path("data/shards", split).mkdir(parents=True)
    for n in range(count):
        with Path("data/shards", split, f"{{n:05d}}.lmdb").open("wb") as file:
            file.write(f"{{split}} {{n}}".encode())
            file.truncate({bytes})
"""


def make_tiny(folder: Path, share: float) -> None:
    """Prepare a checkout with as many shards as ILSVRC-2012 has, of 4 kB each."""
    make(folder, SHARDS, TINY_BYTES)


def make_full(folder: Path, share: float) -> None:
    """Prepare a checkout with 21 shards of full size: sparse files, hashed completely."""
    make(folder, FULL, SHARD_BYTES)


def make(folder: Path, shards: dict[str, int], size: int) -> None:
    """Copy the project's dvc.yaml and replace the stages by scripts that write stub outputs."""
    for name in COPIED:
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, folder / name)
    (folder / "stages").mkdir()
    for stage, entry in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items():
        files = [f"{out}/file" for out in entry["outs"] if stage != "resize"]
        files += EXTRA_FILES.get(stage, [])
        stage_shards = shards if stage == "resize" else {}
        script = STUB.format(files=files, shards=stage_shards, bytes=size)
        (folder / f"stages/{stage}.py").write_text(script)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def time_dvc(folder: Path) -> dict[str, float]:
    """Return the seconds of a first `dvc repro`, of `dvc status` and of a second `dvc repro`."""
    first = measure_command(folder, "first dvc repro", "repro")
    status = measure_command(folder, "dvc status", "status", "dvc.yaml")
    again = measure_command(folder, "dvc repro, up to date", "repro")
    lock = yaml.safe_load((folder / "dvc.lock").read_text())
    (shards,) = lock["stages"]["resize"]["outs"]
    return {
        **first,
        **status,
        **again,
        "shards": shards["nfiles"],
        "GB in shards": shards["size"] / 1e9,
        "kB of dvc.lock": (folder / "dvc.lock").stat().st_size / 1e3,
    }


def measure_command(folder: Path, name: str, *command: str) -> dict[str, float]:
    """Return the wall and CPU seconds of a DVC command."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    run = [sys.executable, "-m", "dvc", *command]
    output = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout
    if command[0] == "status":
        assert "up to date" in output, output
    return {f"s wall, {name}": time.perf_counter() - wall, f"s CPU, {name}": cpu_seconds() - cpu}
