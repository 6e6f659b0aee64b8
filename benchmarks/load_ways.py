"""Ways to read a training set in random order, as batches of uint8 crops.

Each function imports what its way needs, writes its files, and returns a function that runs an
epoch.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from alexnet.dataset.shards import SIDE, Shards
from alexnet.input.augment import AugmentSettings, EpochPlan, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import BUFFERS, load_crops
from alexnet.resize.shard_writer import write_manifest, write_shard
from benchmarks import ways
from benchmarks.ways import encode_jpeg

BATCH = 128
CROP = 224
OFFSETS = 32
Pixels = npt.NDArray[np.uint8]
Epoch = Callable[[int], object]


@dataclass(frozen=True)
class Material:
    """The photos, and a folder for the files that the ways read."""

    photos: list[bytes]
    folder: Path

    @cached_property
    def pictures(self) -> list[Pixels]:
        """All photos as 256×256×3 uint8."""
        way = ways.ours()
        return [way(photo) for photo in self.photos]

    def shards(self, pixels: str) -> Path:
        """Write a split of one shard, as the resize stage does; return its folder."""
        folder = self.folder / f"ours-{pixels}"
        if not folder.exists():
            folder.mkdir()
            rows = range(len(self.photos))
            shard = write_shard(folder / "00000.lmdb", enumerate(self.pictures), pixels, rows)
            write_manifest(folder, np.zeros(len(rows), np.int32), pixels, [shard])
        return folder

    def choices(self, epoch: int, passes: int) -> EpochPlan:
        """Return the plan of an epoch over the set repeated `passes` times, each shuffled."""
        augmentation = AugmentSettings(CROP, OFFSETS)
        plans = [plan_epoch(epoch, turn, len(self.photos), augmentation) for turn in range(passes)]
        fields = ("order", "tops", "lefts", "mirrored", "alphas")
        return EpochPlan(*(torch.cat([getattr(plan, field) for plan in plans]) for field in fields))

    def buffers(self) -> list[Pixels]:
        """Return as many batches as our iterator reuses."""
        return [np.ones((BATCH, CROP, CROP, 3), np.uint8) for _ in range(BUFFERS)]


# Ours


def memcpy(material: Material, passes: int) -> Epoch:
    """Copies prepared crops in order, a batch at a time: a lower bound for all ways."""
    corner = slice(OFFSETS // 2, OFFSETS // 2 + CROP)
    prepared = np.stack([picture[corner, corner] for picture in material.pictures])
    ring = material.buffers()
    parts = split_batches(len(prepared), BATCH) * passes

    def epoch(_: int) -> None:
        for n, part in enumerate(parts):
            np.copyto(ring[n % BUFFERS][: part.stop - part.start], prepared[part])

    return epoch


def gather(material: Material, passes: int) -> Epoch:
    """Only our copying, of records that were read before."""
    shards, ring = Shards(material.shards("raw")), material.buffers()
    return lambda epoch: _gather(shards, material.choices(epoch, passes), ring)


def first_epoch(material: Material, passes: int) -> Epoch:
    """Our copying, with the checks of the first time a record is read."""
    folder, ring = material.shards("raw"), material.buffers()

    def epoch(number: int) -> None:
        for turn in range(passes):
            _gather(Shards(folder), material.choices(number + turn, 1), ring)

    return epoch


def _gather(shards: Shards, choices: EpochPlan, ring: list[Pixels]) -> None:
    order, tops, lefts = (column.numpy() for column in (choices.order, choices.tops, choices.lefts))
    for n, part in enumerate(split_batches(len(order), BATCH)):
        into = ring[n % BUFFERS][: part.stop - part.start]
        shards.gather(order[part], tops[part], lefts[part], into)


def iterator(material: Material, passes: int) -> Epoch:
    """As in training: the epoch's plan, prefetching, and buffers that a thread fills."""
    return _iterator(material, passes, "raw")


def iterator_jpeg(material: Material, passes: int) -> Epoch:
    """As in training with dataset.pixels=jpeg."""
    return _iterator(material, passes, "jpeg")


def _iterator(material: Material, passes: int, pixels: str) -> Epoch:
    shards = Shards(material.shards(pixels))

    def epoch(number: int) -> None:
        choices = material.choices(number, passes)
        exhaust(
            load_crops(shards, choices, split_batches(len(choices.order), BATCH), CROP, pin=False)
        )

    return epoch


# PyTorch


class CropDataset(Dataset[Tensor]):
    """A random crop of picture n, (224, 224, 3) uint8, as a user would write it."""

    def __init__(self, read: Callable[[int], Pixels]) -> None:
        self.read = read

    def __getitem__(self, n: int) -> Tensor:
        top, left = torch.randint(OFFSETS, (2,)).tolist()
        return torch.from_numpy(self.read(n)[top : top + CROP, left : left + CROP].copy())


def dataloader(material: Material, passes: int) -> Epoch:
    """A DataLoader over our shards, without workers."""
    return _loader(CropDataset(Shards(material.shards("raw")).read), material, passes)


def dataloader_2(material: Material, passes: int) -> Epoch:
    """A DataLoader over our shards, with two workers."""
    return _loader(CropDataset(Shards(material.shards("raw")).read), material, passes, workers=2)


def lmdb_raw(material: Material, passes: int) -> Epoch:
    """A DataLoader over a plain LMDB of raw pixels."""
    stored = (picture.tobytes() for picture in material.pictures)
    get = _lmdb(material.folder / "raw.lmdb", stored)

    def read(n: int) -> Pixels:
        return np.frombuffer(get(n), np.uint8).reshape(SIDE, SIDE, 3)

    return _loader(CropDataset(read), material, passes)


def lmdb_jpeg(material: Material, passes: int) -> Epoch:
    """A DataLoader over a plain LMDB of JPEGs of quality 95."""
    get = _lmdb(material.folder / "jpeg.lmdb", map(encode_jpeg, material.pictures))
    pictures = CropDataset(lambda n: np.asarray(ways.open_rgb(get(n))))
    return _loader(pictures, material, passes)


def _lmdb(path: Path, values: Iterable[bytes]) -> Callable[[int], Any]:
    with lmdb.open(str(path), map_size=1 << 36, subdir=False) as env, env.begin(write=True) as put:
        for n, value in enumerate(values):
            put.put(f"{n:08d}".encode(), value)
    database = lmdb.open(str(path), subdir=False, readonly=True, lock=False)

    def get(n: int) -> Any:
        with database.begin() as transaction:
            return transaction.get(f"{n:08d}".encode())

    return get


def image_folder(material: Material, passes: int) -> Epoch:
    """torchvision's ImageFolder with the transforms of PyTorch's ImageNet example."""
    from torchvision import datasets, transforms

    root = material.folder / "photos"
    (root / "class").mkdir(parents=True)
    for n, photo in enumerate(material.photos):
        (root / "class" / f"{n:08d}.jpeg").write_bytes(photo)
    steps = [
        transforms.RandomResizedCrop(CROP),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    folder = datasets.ImageFolder(str(root), transforms.Compose(steps))
    return _loader(folder, material, passes)


def _loader(dataset: Dataset[Any], material: Material, passes: int, workers: int = 0) -> Epoch:
    def epoch(number: int) -> None:
        order = material.choices(number, passes).order.tolist()
        exhaust(DataLoader(dataset, BATCH, sampler=order, num_workers=workers))

    return epoch


# Other libraries


def ffcv(material: Material, passes: int) -> Epoch:
    """FFCV's loader of raw pixels, random crops of fixed size: it copies without resizing."""
    from ffcv.fields.decoders import RandomResizedCropRGBImageDecoder

    area = (CROP / SIDE) ** 2
    decoder = RandomResizedCropRGBImageDecoder((CROP, CROP), scale=(area, area), ratio=(1, 1))
    return _ffcv(material, passes, decoder)


def ffcv_centre(material: Material, passes: int) -> Epoch:
    """FFCV's loader of raw pixels, centre crops."""
    from ffcv.fields.decoders import CenterCropRGBImageDecoder

    return _ffcv(material, passes, CenterCropRGBImageDecoder((CROP, CROP), ratio=CROP / SIDE))


def _ffcv(material: Material, passes: int, decoder: Any) -> Epoch:
    from ffcv.fields import IntField, RGBImageField
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import ToTensor
    from ffcv.writer import DatasetWriter

    path = material.folder / "beton"
    if not path.exists():
        fields = {"image": RGBImageField(write_mode="raw"), "label": IntField()}
        writer = DatasetWriter(str(path), fields, num_workers=1)
        writer.from_indexed_dataset([(picture, 0) for picture in material.pictures])
    loader = Loader(
        str(path),
        batch_size=BATCH,
        num_workers=1,
        os_cache=True,
        order=OrderOption.RANDOM,
        drop_last=False,
        pipelines={"image": [decoder, ToTensor()], "label": None},
    )
    return lambda _: [exhaust(loader) for _ in range(passes)]


def webdataset(material: Material, passes: int) -> Epoch:
    """webdataset's tar of JPEGs of quality 95, shuffled in a buffer of 1,000."""
    from webdataset import TarWriter, WebDataset

    path = material.folder / "00000.tar"
    with TarWriter(str(path)) as tar:
        for n, picture in enumerate(material.pictures):
            tar.write({"__key__": f"{n:08d}", "jpg": encode_jpeg(picture), "cls": 0})
    dataset = WebDataset(str(path), shardshuffle=False).shuffle(1000).decode("rgb8")
    cropped = dataset.to_tuple("jpg").map_tuple(_random_crop).batched(BATCH)
    return lambda _: [exhaust(cropped) for _ in range(passes)]


def _random_crop(picture: Pixels) -> Pixels:
    top, left = torch.randint(OFFSETS, (2,)).tolist()
    return picture[top : top + CROP, left : left + CROP]


def exhaust(batches: Iterable[object]) -> int:
    """Consume all batches; return their number."""
    return sum(1 for _ in batches)
