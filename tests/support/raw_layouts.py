"""Raw data sets to index: files by path, tars made of them, and what an index says about them."""

import io
import tarfile
from pathlib import Path

from alexnet.archives.reader import read_image
from alexnet.dataset.index import Index
from alexnet.miniature.shapes_basic import CLASSES

WNIDS = [wnid for wnid, _ in CLASSES[:4]]  # in the order of the devkit, which is not sorted
Files = dict[str, bytes]  # by path
Content = set[tuple[str, int, bytes]]  # split, label and bytes of each image


def unpack_tar(tar: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {m.name: opened.extractfile(m).read() for m in opened if m.isfile()}  # type: ignore[union-attr]


def make_tar(files: Files, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def write_files(root: Path, files: Files) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def put_under(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


def read_content(root: Path, index: Index) -> Content:
    """Return split, label and bytes of every image, read as the resize stage does."""
    return {
        (split, int(row["label"]), read_image(root, index.archives, row))
        for split, rows in index.splits.items()
        for row in rows
    }
