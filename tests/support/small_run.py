"""A small copy of everything a run leaves on disk, which test_damage.py damages."""

import contextlib
import hashlib
import io
from pathlib import Path

import numpy as np
import torch
import xxhash

from alexnet.cli.dvc_lock import SHARDS, Comparison
from alexnet.dataset.index import ROW, Index, Synset, load_index, save_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import LAYERS, NetConfig
from alexnet.model.tensor_file import load_tensors
from alexnet.model.weights import load_model
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.train import checkpoint
from alexnet.train.schedule import Multistep
from alexnet.train.state import TrainState
from images import random_images, save_moments_of, write_split
from small_model import STD, small_model

SPLITS = {"train": (4, "raw"), "val": (4, "jpeg")}
RECORDS = 2  # a shard
CHECKPOINTS = Path(".scratch/train/0000")  # named after the run's fingerprint
OUTPUTS = ("index", "shards", "moments", "train", "evaluate", "retrieve", "report")
TEXTS = {
    "train/history.csv": "epoch,step,lr,train_loss\n1,12,0.01,2.5\n",
    "train/augmentation.csv": "epoch,top,left,crop,mirrored,red,green,blue\n1,0,31,224,0,2,0,-2\n",
    "evaluate/predictions.csv": "record,name,label,label1,probability1\n0,a,0,0,1\n1,b,1,0,1\n",
    "evaluate/result.json": '{"top1_error": 50.0}\n',
    "retrieve/codes.csv": "code,bits,candidates,recall\nitq,64,10,0.5\n",
    "report/index.html": "<!doctype html>\n<p>50 %</p>\n" * 300,
}
SCHEDULE = Multistep([2])
REJECTED = "rejected: "


def write_run(root: Path, seed: int) -> None:
    """Write a run whose images, weights and offsets depend on `seed`; labels and classes do not."""
    data, rng = root / "data", np.random.default_rng(seed)
    rows = {}
    for split, (count, pixels) in SPLITS.items():
        rows[split] = np.zeros(count, ROW)
        rows[split]["label"] = labels = np.arange(count) % 2
        rows[split]["offset"] = rng.integers(10**6, size=count)
        rows[split]["name"] = [f"{split}{n}.JPEG".encode() for n in range(count)]
        coarse = random_images(count, seed + count)[:, ::32, ::32]
        images = coarse.repeat(32, axis=1).repeat(32, axis=2)
        if pixels == "raw":
            images = random_images(count, seed)
            sums = sum_images(images)
        write_split(data / "shards" / split, images, labels.tolist(), RECORDS, pixels)
    for name in {*OUTPUTS} - {"shards"}:
        (data / name).mkdir()
    synsets = [Synset(1, "n01440764", "tench, Tinca"), Synset(2, "n01443537", "goldfish")]
    save_index(Index(rows, [("train.tar", 10**6), ("val.tar", seed)], synsets), data / "index")
    save_moments_of(data / "moments", sums)
    torch.manual_seed(seed)
    small_model(data / "train", dropout=0.5 - seed / 100)
    for name, text in TEXTS.items():
        (data / name).write_text(text + f"{seed}\n")
    (root / "metrics.json").write_text(f'{{"top1_error": 50.0, "seed": {seed}}}\n')
    write_checkpoints(root / f".scratch/train/{seed:04d}", seed)
    (root / f".scratch/train/{seed:04d}").rename(root / CHECKPOINTS)


def small_net(seed: int = 0) -> AlexNet:
    net = AlexNet(NetConfig(2, 16))
    initialise(net, seed, STD, dict.fromkeys(LAYERS, 0.1))
    return net


def write_checkpoints(folder: Path, seed: int) -> None:
    """Write the two checkpoints that a run has after two epochs."""
    folder.mkdir(parents=True)
    for epoch in (1, 2):
        net = small_net(10 * seed + epoch)
        velocities = {name: w.detach() / 10 for name, w in net.named_parameters()}
        counters, history = (epoch, 0, 3 * epoch), [{"epoch": epoch, "lr": 0.01}] * epoch
        loss_sum = torch.tensor(float(epoch))
        checkpoint.save(folder, TrainState(net, SCHEDULE, velocities, loss_sum, *counters, history))


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


def tensor_parts(tensors: dict[str, torch.Tensor]) -> list[bytes | str]:
    return [part for n in sorted(tensors) for part in (n, tensors[n].detach().numpy().tobytes())]


def read_shards(root: Path, split: str) -> dict[str, str]:
    """Return a digest of each record, or REJECTED and the error message."""
    shards, found = Shards(root / "data/shards" / split), {}
    for record in range(SPLITS[split][0]):
        try:
            found[f"{split} {record}"] = digest(shards.read(record).tobytes())
        except InputError as error:
            found[f"{split} {record}"] = f"{REJECTED}{error}"
    return found


def read_moments(root: Path) -> dict[str, str]:
    moments = load_moments(root / "data/moments")
    return {"moments": digest(*(value.tobytes() for value in vars(moments).values()))}


def read_model(root: Path) -> dict[str, str]:
    net, moments, description = load_model(root / "data/train")
    values = (value.tobytes() for value in vars(moments).values())
    return {"model": digest(*tensor_parts(net.state_dict()), *values, repr(description))}


def read_index(root: Path) -> dict[str, str]:
    index = load_index(root / "data/index")
    rows = [part for name, rows in index.splits.items() for part in (name, rows.tobytes())]
    return {"index": digest(*rows, repr(index.archives), repr(index.synsets))}


def read_checkpoint(root: Path, name: str) -> dict[str, str]:
    """Return a digest of a checkpoint."""
    tensors, state = load_tensors(root / CHECKPOINTS / name)
    return {name: digest(*tensor_parts(tensors), repr(state))}


def resumed(root: Path) -> tuple[str, str]:
    """Return a digest of the state from which a run resumes, and what it prints."""
    output, start = io.StringIO(), TrainState.start(small_net(), SCHEDULE)
    with contextlib.redirect_stdout(output):
        state = checkpoint.resume(root / CHECKPOINTS, start)
    tensors = state.tensors() | {"loss": state.loss_sum}
    progress = state.epoch, state.batch, state.step, state.schedule, state.history
    return digest(*tensor_parts(tensors), repr(progress)), output.getvalue()
