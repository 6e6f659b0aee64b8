"""Store, end to end: CPU time per image on one core, JPEG bytes → 256×256 → a closed file."""

import multiprocessing
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb

from alexnet.dataset.shards import SIDE
from alexnet.resize.shard_writer import write_shard
from benchmarks import ways
from benchmarks.clock import measure_interleaved
from benchmarks.table import Goal, Row, cost_rows, main, make_installed, missing_rows
from benchmarks.ways import Way, encode_jpeg

BATCH = 250  # photos per file
RAW, JPEG = "ours, raw", "ours, JPEG of quality 95"
Writer = Callable[[list[bytes], Path], object]


def ours_raw() -> Writer:
    """A shard as the resize stage writes it, with checksums and SHA-256."""
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
    """Raw pixels in one transaction, from torchvision's tensors."""
    return _lmdb(ways.torchvision_tensor())


def caffe_lmdb() -> Writer:
    """Raw pixels in one transaction, as Caffe's convert_imageset."""
    return _lmdb(ways.caffe())


def _lmdb(way: Way) -> Writer:
    def write(photos: list[bytes], folder: Path) -> None:
        size = 2 * (len(photos) + 16) * SIDE * SIDE * 3
        with lmdb.open(str(folder / "lmdb"), map_size=size) as env, env.begin(write=True) as put:
            for n, photo in enumerate(photos):
                put.put(f"{n:08d}".encode(), way(photo).tobytes())

    return write


def ffcv() -> Writer:
    """FFCV's writer with one worker; raw pixels, resized by Pillow."""
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
        multiprocessing.active_children()  # joins the worker, so that its time counts

    return write


def img2dataset() -> Writer:
    """img2dataset's resizer and tar writer."""
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
    """webdataset's tar of JPEGs of quality 95, resized and encoded by Pillow."""
    from webdataset import TarWriter

    way = ways.pillow()

    def write(photos: list[bytes], folder: Path) -> None:
        with TarWriter(str(folder / "00000.tar")) as tar:
            for n, photo in enumerate(photos):
                tar.write({"__key__": f"{n:08d}", "jpg": encode_jpeg(way(photo)), "cls": 0})

    return write


def mosaicml() -> Writer:
    """MosaicML streaming's MDS; raw pixels, resized by Pillow."""
    from streaming import MDSWriter

    way = ways.pillow()

    def write(photos: list[bytes], folder: Path) -> None:
        columns = {"image": "bytes", "label": "int"}
        with MDSWriter(out=str(folder / "mds"), columns=columns) as mds:
            for photo in photos:
                mds.write({"image": way(photo).tobytes(), "label": 0})

    return write


MAKERS: dict[str, Callable[[], Writer]] = {
    RAW: ours_raw,
    JPEG: ours_jpeg,
    "Pillow → LMDB, raw": pillow_lmdb,
    "torchvision tensors → LMDB, raw": torchvision_lmdb,
    "as Caffe → LMDB, raw": caffe_lmdb,
    "Pillow → FFCV's writer, raw": ffcv,
    "Pillow → MosaicML MDS, raw": mosaicml,
    "Pillow → webdataset, JPEG": webdataset,
    "img2dataset, JPEG": img2dataset,
}
COMPARED_WITH = {"": RAW, JPEG: RAW, "Pillow → webdataset, JPEG": JPEG, "img2dataset, JPEG": JPEG}
GOALS = {
    "Pillow → LMDB, raw": Goal(at_least=1.4),
    "Pillow → FFCV's writer, raw": Goal(at_least=1.4),
    "img2dataset, JPEG": Goal(at_least=1.4),
}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure all writers, interleaved after each batch; deleting the files is not counted.

    The fixed cost of a file, such as FFCV's new process, is measured with one photo and subtracted:
    in a file of a million photos it would not matter.
    """
    writers, missing = make_installed(MAKERS)
    batches = [photos[n : n + BATCH] for n in range(0, len(photos), BATCH)]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        folder.mkdir()
        bound = {name: _bind(write, folder) for name, write in writers.items()}
        clear = partial(_clear, folder)
        whole = measure_interleaved(bound, batches, rounds, after=clear)
        single = measure_interleaved(bound, [batch[:1] for batch in batches], rounds, after=clear)
    costs = {name: whole[name] - single[name] for name in writers}
    return cost_rows(costs, len(photos) - len(batches), COMPARED_WITH, GOALS) + missing_rows(
        missing
    )


def _bind(write: Writer, folder: Path) -> Callable[[list[bytes]], object]:
    return lambda photos: write(photos, folder)


def _clear(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


if __name__ == "__main__":
    main(__doc__ or "", rows)
