"""DVC on the project's own DAG, whose stages write ImageNet's number of shards and nothing else."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from benchmarks import CHECKOUT
from benchmarks.clock import cpu_seconds

SHARDS = {"train": 1252, "val": 49}
WHOLE = {"train": 20, "val": 1}
TINY_BYTES, SHARD_BYTES = 4096, 205_590_528  # 1,024 records of 200,772 bytes
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
    """As many shards as ILSVRC-2012 has, of 4 kB each."""
    make(folder, SHARDS, TINY_BYTES)


def make_whole(folder: Path, share: float) -> None:
    """A few shards of the true size, holes but for their beginning: all is hashed all the same."""
    make(folder, WHOLE, SHARD_BYTES)


def make(folder: Path, shards: dict[str, int], size: int) -> None:
    """The project's dvc.yaml, its stages replaced by scripts that write what they should."""
    for name in COPIED:
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, folder / name)
    (folder / "stages").mkdir()
    for stage, told in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items():
        files = [f"{out}/file" for out in told["outs"] if stage != "resize"]
        files += ["metrics.json"] * (stage == "evaluate") + ["data/index/classes.csv"] * (
            stage == "index"
        )
        some = shards if stage == "resize" else {}
        script = STUB.format(files=files, shards=some, bytes=size)
        (folder / f"stages/{stage}.py").write_text(script)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


def timed(folder: Path) -> dict[str, float]:
    """Seconds of a first `dvc repro`, of `dvc status` and of a `dvc repro` with nothing to do."""
    first = seconds(folder, "first dvc repro", "repro")
    status = seconds(folder, "dvc status", "status", "dvc.yaml")
    again = seconds(folder, "dvc repro, nothing to do", "repro")
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


def seconds(folder: Path, name: str, *command: str) -> dict[str, float]:
    wall, cpu = time.perf_counter(), cpu_seconds()
    run = [sys.executable, "-m", "dvc", *command]
    said = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True).stdout
    if command[0] == "status":
        assert "up to date" in said, said
    return {f"s wall, {name}": time.perf_counter() - wall, f"s CPU, {name}": cpu_seconds() - cpu}
