"""A metric of a real DVC pipeline, traced; then each part of the chain changed."""

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
from alexnet.cli.trace import trace_metric
from alexnet.dataset.index import ROW, Index, Synset, save_index
from alexnet.runtime.errors import InputError
from images import random_images, write_split

STAGES = """
stages:
  index:
    cmd: cp -r source/index data/index
    deps: [stages/index.py]
    params: [dataset]
    outs: [data/index]
  resize:
    cmd: cp -r source/shards data/shards
    deps: [data/index, stages/resize.py]
    outs: [data/shards]
  train:
    cmd: cp -r source/train data/train
    deps: [data/shards, stages/train.py]
    params: [lr]
    outs: [data/train]
  evaluate:
    cmd: cp -r source/evaluate data/evaluate; cp source/metrics.json .
    deps: [data/train, data/shards/train]
    outs: [data/evaluate]
    metrics: [metrics.json: {cache: false}]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the pipeline once in a checkout."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("stages", "source/index", "source/train", "source/evaluate", "raw", "data"):
        (root / folder).mkdir(parents=True)
    for stage in ("index", "resize", "train"):
        (root / f"stages/{stage}.py").write_text(f"# {stage}\n")
    (root / "raw/train.tar").write_bytes(b"tar" * 100)
    rows = {"train": np.zeros(4, ROW), "val": np.zeros(0, ROW)}
    save_index(Index(rows, [("train.tar", 300)], [Synset(1, "n1", "w")]), root / "source/index")
    write_split(root / "source/shards/train", random_images(4), [0] * 4, records=3)
    description = {"choices": {"dataset": "small", "model": "quick"}, "lr": 0.5, "seed": 3}
    (root / "source/train/model.json").write_text(json.dumps(description))
    with (root / "source/evaluate/predictions.csv").open("w", newline="") as file:
        answers = [["label", "label1", "label2"], [0, 0, 1], [0, 1, 0], [0, 1, 2], [1, 1, 0]]
        csv.writer(file).writerows(answers)
    numbers = {"top1_error": 50.0, "top5_error": 25.0, "top1_wrong": 2, "top5_wrong": 1}
    (root / "source/metrics.json").write_text(json.dumps(numbers | {"images": 4, "run": {}}))
    (root / "params.yaml").write_text("lr: 0.5\ndataset: small\n")
    (root / "dvc.yaml").write_text(STAGES)
    Repo.init(str(root), no_scm=True).close()
    with chdir(root):
        Repo().reproduce()
    return root


@pytest.fixture
def checkout(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def lines(link: Link) -> Iterator[tuple[str, str, bool | None]]:
    yield link.name, link.value, link.holds
    for source in link.sources:
        yield from lines(source)


def changed_links(root: Path, metric: str = "top1_error") -> list[str]:
    links = lines(trace_metric(root, metric, root / "raw"))
    return [name for name, _, holds in links if holds is False]


def test_the_chain_goes_back_to_the_archives(finished: Path) -> None:
    link = trace_metric(finished, "top1_error", finished / "raw")
    values = {name: value for name, value, _ in lines(link)}
    assert link.unchanged
    assert link.value == "50.00 %: 2 of 4 images"
    assert values["recount"] == "2 wrong in predictions.csv"
    assert values["model.json"] == "dataset small · model quick · lr 0.5 · seed 3"
    assert values["train.tar"] == "300 bytes, unchanged"
    sha256 = json.loads((finished / "data/shards/train/manifest.json").read_text())["shards"][0][
        "sha256"
    ]
    assert values["00000.lmdb"] == f"3 images, SHA-256 {sha256[:12]}"
    order = [name for name, *_ in lines(link)]
    stages = ["metrics.json", "data/train", "train", "params.yaml", "data/shards", "data/index"]
    assert sorted(stages, key=order.index) == stages
    md5 = re.search(r"path: data/train\n.*\n +md5: (\w{12})", (finished / "dvc.lock").read_text())
    assert md5 is not None
    assert values["data/train"] == md5[1]


def test_other_metrics_and_an_unknown_one(finished: Path) -> None:
    assert trace_metric(finished, "top5_error", None).sources[0].holds
    assert trace_metric(finished, "images", None).value == "4"
    with pytest.raises(
        InputError, match=r"no metric 'top9_error'; fix: choose one of top1_error, "
    ):
        trace_metric(finished, "top9_error", None)


def overwrite(name: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / name
        if path.exists():
            path.chmod(0o644)
            path.unlink()
        path.write_text(text)

    return change


CHANGES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "code": (overwrite("stages/resize.py", "other"), ["code"]),
    "parameter": (overwrite("params.yaml", "lr: 0.1\ndataset: small\n"), ["params.yaml"]),
    "model": (overwrite("data/train/model.json", "{}"), ["data/train", "data/train"]),
    "shard": (
        overwrite("data/shards/train/00001.lmdb", "cut"),
        ["data/shards", "data/shards/train", "00001.lmdb"],
    ),
    "archive": (overwrite("raw/train.tar", "other"), ["train.tar"]),
    "metrics": (
        overwrite("metrics.json", '{"top1_error": 25, "top1_wrong": 1, "images": 4}'),
        ["recount", "metrics.json"],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_since_the_run_is_named(checkout: Path, change: str) -> None:
    apply, names = CHANGES[change]
    apply(checkout)
    assert changed_links(checkout) == names


def test_a_missing_run_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"metrics.json cannot be read.*fix: dvc repro"):
        trace_metric(tmp_path, "top1_error", None)
    (tmp_path / "metrics.json").write_text('{"top1_error": 1.0}')
    with pytest.raises(InputError, match="DVC reports"):
        trace_metric(tmp_path, "top1_error", None)
