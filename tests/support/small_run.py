"""All that a run leaves on disk, small: what tests/robustness/test_damage.py harms."""

import contextlib
import hashlib
import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import xxhash

from alexnet.cli.dvc_lock import SHARDS, Comparison
from alexnet.dataset.index import ROW, Index, Synset, load_index, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model import weights
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.layer_shapes import LAYERS
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sums_of
from alexnet.runtime.errors import InputError
from alexnet.train import checkpoint
from alexnet.train.checkpoint import Position
from alexnet.train.optimizer import Multistep
from images import random_images, write_split
from small_model import STD, small_model

SPLITS = {"train": (4, "raw"), "val": (4, "jpeg")}
RECORDS = 2  # in a shard
CHECKPOINTS = Path(".scratch/train/0000")  # the mark of the run of seed 0
OUTPUTS = ("index", "shards", "moments", "train", "evaluate", "retrieve", "report")
TEXTS = {
    "train/history.csv": "epoch,step,lr,train_loss\n1,12,0.01,2.5\n",
    "evaluate/predictions.csv": "label,label1,label2\n0,0,1\n1,0,1\n",
    "evaluate/result.json": '{"top1_error": 50.0}\n',
    "retrieve/codes.csv": "code,bits,candidates,recall\nitq,64,10,0.5\n",
    "report/index.html": "<!doctype html>\n<p>50 %</p>\n" * 300,
}
START = Position(0, 0, 0, Multistep([2]), [])
REFUSED = "refused: "


def write_run(root: Path, seed: int) -> None:
    """Other images, weights and places for each `seed`; labels and classes are the same."""
    data, rng = root / "data", np.random.default_rng(seed)
    rows = {}
    for split, (count, pixels) in SPLITS.items():
        rows[split] = np.zeros(count, ROW)
        rows[split]["label"] = labels = np.arange(count) % 2
        rows[split]["offset"] = rng.integers(10**6, size=count)
        rows[split]["name"] = [f"{split}{n}.JPEG".encode() for n in range(count)]
        coarse = random_images(count, seed + count)[:, ::32, ::32]
        images = coarse.repeat(32, axis=1).repeat(32, axis=2) if pixels == "jpeg" else None
        if images is None:
            images = random_images(count, seed)
            whole = sums_of(images)
        write_split(data / "shards" / split, images, labels.tolist(), RECORDS, pixels)
    for name in {*OUTPUTS} - {"shards"}:
        (data / name).mkdir()
    synsets = [Synset(1, "n01440764", "tench, Tinca"), Synset(2, "n01443537", "goldfish")]
    save_index(Index(rows, [("train.tar", 10**6), ("val.tar", seed)], synsets), data / "index")
    save_moments(data / "moments", whole)
    torch.manual_seed(seed)
    small_model(data / "train", dropout=0.5 - seed / 100)
    for name, text in TEXTS.items():
        (data / name).write_text(text + f"{seed}\n")
    (root / "metrics.json").write_text(f'{{"top1_error": 50.0, "seed": {seed}}}\n')
    write_checkpoints(root / f".scratch/train/{seed:04d}", seed)
    (root / f".scratch/train/{seed:04d}").rename(root / CHECKPOINTS)


def small_net(seed: int = 0) -> AlexNet:
    net = AlexNet(2, 16)
    initialise(net, seed, STD, dict.fromkeys(LAYERS, 0.1))
    return net


def write_checkpoints(folder: Path, seed: int) -> None:
    """Two, as a run has after two epochs."""
    folder.mkdir(parents=True)
    for epoch in (1, 2):
        net = small_net(10 * seed + epoch)
        velocities = {name: w.detach() / 10 for name, w in net.named_parameters()}
        at = Position(epoch, 0, 3 * epoch, START.schedule, [{"epoch": epoch, "lr": 0.01}] * epoch)
        checkpoint.save(folder, net, velocities, torch.tensor(float(epoch)), at)


def locked_md5s(root: Path) -> dict[str, str]:
    """Return the MD5 of each output file as dvc.lock would have it, shards by name only."""
    paths = [path for path in files_of(root) if CHECKPOINTS.parts[0] not in path.parts]
    return {
        str(path.relative_to(root)): "" if path.match(SHARDS) else md5_of(path) for path in paths
    }


def md5_of(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def compare_with_lock(root: Path, locked: dict[str, str]) -> list[Comparison]:
    """Compare the outputs as dvc_lock.compare_outputs would, without a DVC repository."""
    found = locked_md5s(root)
    changed = [p for p in sorted(found.keys() | locked.keys()) if found.get(p) != locked.get(p)]
    return [
        Comparison(output, [path for path in changed if Path(path).is_relative_to(output)])
        for output in ("metrics.json", *(f"data/{name}" for name in OUTPUTS))
    ]


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def digest(*parts: bytes | str) -> str:
    return xxhash.xxh3_64_hexdigest(
        b"\n".join(p if isinstance(p, bytes) else p.encode() for p in parts)
    )


def of_tensors(tensors: dict[str, torch.Tensor]) -> list[bytes | str]:
    return [part for n in sorted(tensors) for part in (n, tensors[n].detach().numpy().tobytes())]


def shards(root: Path, split: str) -> dict[str, str]:
    """The records by number; of one that is refused the line, which InputError begins."""
    opened, found = Shards(root / "data/shards" / split), {}
    for record in range(SPLITS[split][0]):
        try:
            found[f"{split} {record}"] = digest(opened.read(record).tobytes())
        except InputError as error:
            found[f"{split} {record}"] = f"{REFUSED}{error}"
    return found


def moments(root: Path) -> dict[str, str]:
    told = load_moments(root / "data/moments")
    return {"moments": digest(*(value.tobytes() for value in vars(told).values()))}


def model(root: Path) -> dict[str, str]:
    net, told, described = weights.load_model(root / "data/train")
    values = (value.tobytes() for value in vars(told).values())
    return {"model": digest(*of_tensors(net.state_dict()), *values, repr(described))}


def index(root: Path) -> dict[str, str]:
    read = load_index(root / "data/index")
    rows = [part for name, rows in read.splits.items() for part in (name, rows.tobytes())]
    return {"index": digest(*rows, repr(read.archives), repr(read.synsets))}


def loaded(root: Path, name: str) -> dict[str, str]:
    """A checkpoint, by the name of its file."""
    tensors, state = weights.load(root / CHECKPOINTS / name)
    return {name: digest(*of_tensors(tensors), repr(state))}


def resumed(root: Path) -> tuple[str, str]:
    """Where a run goes on, with all that it takes up; and what it says."""
    net, said = small_net(), io.StringIO()
    velocities = {name: torch.zeros_like(w) for name, w in net.named_parameters()}
    loss = torch.zeros((), dtype=torch.float64)
    with contextlib.redirect_stdout(said):
        at = checkpoint.resume(root / CHECKPOINTS, net, velocities, loss, START)
    moving = {f"velocity.{name}": velocity for name, velocity in velocities.items()}
    whole = net.state_dict() | moving | {"loss": loss}
    return digest(*of_tensors(whole), repr(asdict(at))), said.getvalue()
