"""A chain of real stages under DVC, explained; then broken in each of its parts."""

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from dvc.repo import Repo

from alexnet.cli.provenance import Link
from alexnet.cli.trace import explain
from alexnet.dataset.index import ROW, Index, Synset, save_index
from alexnet.runtime.errors import InputError
from images import random_images, write_split

STAGES = """
stages:
  index:
    cmd: cp -r made/index data/index
    deps: [stages/index.py]
    params: [dataset]
    outs: [data/index]
  resize:
    cmd: cp -r made/shards data/shards
    deps: [data/index, stages/resize.py]
    outs: [data/shards]
  train:
    cmd: cp -r made/train data/train
    deps: [data/shards, stages/train.py]
    params: [lr]
    outs: [data/train]
  evaluate:
    cmd: cp -r made/evaluate data/evaluate; cp made/metrics.json .
    deps: [data/train, data/shards/train]
    outs: [data/evaluate]
    metrics: [metrics.json: {cache: false}]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one run."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("stages", "made/index", "made/train", "made/evaluate", "raw", "data"):
        (root / folder).mkdir(parents=True)
    for stage in ("index", "resize", "train"):
        (root / f"stages/{stage}.py").write_text(f"# {stage}\n")
    (root / "raw/train.tar").write_bytes(b"tar" * 100)
    rows = {"train": np.zeros(4, ROW), "val": np.zeros(0, ROW)}
    save_index(Index(rows, [("train.tar", 300)], [Synset(1, "n1", "w")]), root / "made/index")
    write_split(root / "made/shards/train", random_images(4), [0] * 4, records=3)
    told = {"chosen": {"dataset": "small", "model": "quick"}, "lr": 0.5, "seed": 3}
    (root / "made/train/model.json").write_text(json.dumps(told))
    with (root / "made/evaluate/predictions.csv").open("w", newline="") as file:
        answers = [["label", "label1", "label2"], [0, 0, 1], [0, 1, 0], [0, 1, 2], [1, 1, 0]]
        csv.writer(file).writerows(answers)
    numbers = {"top1_error": 50.0, "top5_error": 25.0, "top1_wrong": 2, "top5_wrong": 1}
    (root / "made/metrics.json").write_text(json.dumps(numbers | {"images": 4, "run": {}}))
    (root / "params.yaml").write_text("lr: 0.5\ndataset: small\n")
    (root / "dvc.yaml").write_text(STAGES)
    Repo.init(str(root), no_scm=True).close()
    with chdir(root):
        Repo().reproduce()
    return root


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def lines(link: Link) -> Iterator[tuple[str, str, bool | None]]:
    yield link.name, link.told, link.holds
    for each in link.because:
        yield from lines(each)


def broken(root: Path, metric: str = "top1_error") -> list[str]:
    told = lines(explain(root, metric, root / "raw"))
    return [name for name, _, holds in told if holds is False]


def test_the_chain_goes_back_to_the_archives(made: Path) -> None:
    link = explain(made, "top1_error", made / "raw")
    told = {name: told for name, told, _ in lines(link)}
    assert link.whole
    assert link.told == "50.00 %: 2 of 4 images"
    assert told["counted again"] == "2 wrong in predictions.csv"
    assert told["model.json"] == "dataset small · model quick · lr 0.5 · seed 3"
    assert told["train.tar"] == "300 bytes, still so"
    sha256 = json.loads((made / "data/shards/train/manifest.json").read_text())["shards"][0][
        "sha256"
    ]
    assert told["00000.lmdb"] == f"3 images, SHA-256 {sha256[:12]}"
    order = [name for name, *_ in lines(link)]
    stages = ["metrics.json", "data/train", "train", "params.yaml", "data/shards", "data/index"]
    assert sorted(stages, key=order.index) == stages
    md5 = re.search(r"path: data/train\n.*\n +md5: (\w{12})", (made / "dvc.lock").read_text())
    assert md5 is not None
    assert told["data/train"] == md5[1]


def test_other_metrics(made: Path) -> None:
    assert explain(made, "top5_error", None).because[0].holds
    assert explain(made, "images", None).told == "4"
    with pytest.raises(InputError, match=r"no 'top9_error'; fix: choose one of top1_error, "):
        explain(made, "top9_error", None)


def touched(name: str, text: str) -> Callable[[Path], None]:
    def touch(root: Path) -> None:
        path = root / name
        if path.exists():
            path.chmod(0o644)
            path.unlink()
        path.write_text(text)

    return touch


BREAKS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "code": (touched("stages/resize.py", "other"), ["code"]),
    "parameter": (touched("params.yaml", "lr: 0.1\ndataset: small\n"), ["params.yaml"]),
    "model": (touched("data/train/model.json", "{}"), ["data/train", "data/train"]),
    "shard": (
        touched("data/shards/train/00001.lmdb", "cut"),
        ["data/shards", "data/shards/train", "00001.lmdb"],
    ),
    "archive": (touched("raw/train.tar", "other"), ["train.tar"]),
    "metrics": (
        touched("metrics.json", '{"top1_error": 25, "top1_wrong": 1, "images": 4}'),
        ["counted again", "metrics.json"],
    ),
}


@pytest.mark.parametrize("change", BREAKS)
def test_what_has_changed_since_is_named(checkout: Path, change: str) -> None:
    do, names = BREAKS[change]
    do(checkout)
    assert broken(checkout) == names


def test_without_a_run_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metrics.json cannot be read.*fix: dvc repro"):
        explain(tmp_path, "top1_error", None)
    (tmp_path / "metrics.json").write_text('{"top1_error": 1.0}')
    with pytest.raises(InputError, match="DVC says"):
        explain(tmp_path, "top1_error", None)
