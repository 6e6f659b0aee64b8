"""Store, end to end: CPU time an image on one core, JPEG bytes → 256×256 → a closed file."""

import io
import multiprocessing
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb
from PIL import Image

from alexnet.dataset.shards import SIDE
from alexnet.resize.shard_writer import write_shard
from benchmarks import ways
from benchmarks.clock import interleaved
from benchmarks.table import Goal, Row, absent_rows, alone, cost_rows, installed
from benchmarks.ways import Way

BATCH = 250  # photos a file
RAW, JPEG = "ours, raw", "ours, JPEG of quality 95"
Writer = Callable[[list[bytes], Path], object]


def ours_raw() -> Writer:
    """A shard as the resize stage writes it, with checksums and its SHA-256."""
    return _ours("raw")


def ours_jpeg() -> Writer:
    """The same with dataset.pixels = jpeg."""
    return _ours("jpeg")


def _ours(pixels: str) -> Writer:
    way = ways.ours()

    def write(photos: list[bytes], folder: Path) -> None:
        rows = range(len(photos))
        write_shard(folder / "00000.lmdb", enumerate(map(way, photos)), pixels, rows)

    return write


def pillow_lmdb() -> Writer:
    """Raw pixels in one transaction."""
    return _lmdb(ways.pillow())


def torchvision_lmdb() -> Writer:
    """The same from torchvision's tensors."""
    return _lmdb(ways.torchvision_tensor())


def caffe_lmdb() -> Writer:
    """The same as Caffe's convert_imageset."""
    return _lmdb(ways.caffe())


def _lmdb(way: Way) -> Writer:
    def write(photos: list[bytes], folder: Path) -> None:
        size = 2 * (len(photos) + 16) * SIDE * SIDE * 3
        with lmdb.open(str(folder / "lmdb"), map_size=size) as env, env.begin(write=True) as put:
            for n, photo in enumerate(photos):
                put.put(f"{n:08d}".encode(), way(photo).tobytes())

    return write


def ffcv() -> Writer:
    """FFCV's writer with one worker, of raw pixels that Pillow resizes."""
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    way = ways.pillow()

    class Dataset:
        def __init__(self, photos: list[bytes]) -> None:
            self.photos = photos

        def __len__(self) -> int:
            return len(self.photos)

        def __getitem__(self, n: int) -> tuple[ways.Pixels, int]:
            return way(self.photos[n]), 0

    def write(photos: list[bytes], folder: Path) -> None:
        fields = {"image": RGBImageField(write_mode="raw"), "label": IntField()}
        writer = DatasetWriter(str(folder / "beton"), fields, num_workers=1)
        writer.from_indexed_dataset(Dataset(photos))
        multiprocessing.active_children()  # waits for the worker, whose time then counts

    return write


def img2dataset() -> Writer:
    """img2dataset's resizer and its writer of tars."""
    import pyarrow
    from img2dataset.writer import WebDatasetSampleWriter

    way = ways.img2dataset()
    schema = pyarrow.schema([("key", pyarrow.string())])

    def write(photos: list[bytes], folder: Path) -> None:
        writer = WebDatasetSampleWriter(0, str(folder), False, 5, schema, "jpg")
        for n, photo in enumerate(photos):
            key = f"{n:08d}"
            writer.write(way(photo), key, None, {"key": key})
        writer.close()

    return write


def webdataset() -> Writer:
    """webdataset's tar, of JPEGs of quality 95 that Pillow resizes and encodes."""
    from webdataset import TarWriter

    way = ways.pillow()

    def write(photos: list[bytes], folder: Path) -> None:
        with TarWriter(str(folder / "00000.tar")) as tar:
            for n, photo in enumerate(photos):
                tar.write({"__key__": f"{n:08d}", "jpg": encoded(way(photo)), "cls": 0})

    return write


def mosaicml() -> Writer:
    """MosaicML streaming's MDS, of raw pixels that Pillow resizes."""
    from streaming import MDSWriter

    way = ways.pillow()

    def write(photos: list[bytes], folder: Path) -> None:
        columns = {"image": "bytes", "label": "int"}
        with MDSWriter(out=str(folder / "mds"), columns=columns) as mds:
            for photo in photos:
                mds.write({"image": way(photo).tobytes(), "label": 0})

    return write


def encoded(pixels: ways.Pixels) -> bytes:
    """JPEG of quality 95, Pillow's defaults otherwise."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


MAKERS: dict[str, Callable[[], Writer]] = {
    RAW: ours_raw,
    JPEG: ours_jpeg,
    "Pillow → LMDB, raw": pillow_lmdb,
    "torchvision tensors → LMDB, raw": torchvision_lmdb,
    "Caffe's way → LMDB, raw": caffe_lmdb,
    "Pillow → FFCV's writer, raw": ffcv,
    "Pillow → MosaicML MDS, raw": mosaicml,
    "Pillow → webdataset, JPEG": webdataset,
    "img2dataset, JPEG": img2dataset,
}
OURS = {"": RAW, JPEG: RAW, "Pillow → webdataset, JPEG": JPEG, "img2dataset, JPEG": JPEG}
GOALS = {
    "Pillow → LMDB, raw": Goal(at_least=1.4),
    "Pillow → FFCV's writer, raw": Goal(at_least=1.4),
    "img2dataset, JPEG": Goal(at_least=1.4),
}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """All writers in turns, batch by batch; each file is deleted, uncounted, when it is closed.

    What a file costs whatever it holds, as FFCV's new process does, is measured with one photo and
    taken off: it is nothing in a file of a million.
    """
    writers, absent = installed(MAKERS)
    batches = [photos[n : n + BATCH] for n in range(0, len(photos), BATCH)]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        folder.mkdir()
        into = {name: _into(write, folder) for name, write in writers.items()}
        empty = partial(_empty, folder)
        whole = interleaved(into, batches, rounds, after=empty)
        single = interleaved(into, [batch[:1] for batch in batches], rounds, after=empty)
    costs = {name: whole[name] - single[name] for name in writers}
    return cost_rows(costs, len(photos) - len(batches), OURS, GOALS) + absent_rows(absent)


def _into(write: Writer, folder: Path) -> Callable[[list[bytes]], object]:
    return lambda photos: write(photos, folder)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


if __name__ == "__main__":
    alone(__doc__ or "", rows)
