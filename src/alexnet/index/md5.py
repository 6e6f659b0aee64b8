"""Compare downloaded archives with their published MD5 checksums."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alexnet.runtime.progress import progress

PUBLISHED = {
    "ILSVRC2012_img_train.tar": "1d675b47d978889d74fa0da5fadfb00e",
    "ILSVRC2012_img_val.tar": "29b22e2961454d5413ddabcf34fc5622",
    "ILSVRC2012_devkit_t12.tar.gz": "fa75699e90414af021442c21a62c3abf",
    "winter21_whole.tar.gz": "ab313ce03179fd803a401b02c651c0a2",
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
}
CHUNK = 1 << 22  # bytes read at a time


class Md5(NamedTuple):
    """The published checksum of an archive and that of the file found."""

    name: str
    published: str
    found: str


def check_md5(root: Path) -> Iterator[Md5]:
    """Yield the checksums of each archive in `root` with a published one."""
    for name, published in PUBLISHED.items():
        path = root / name
        if not path.is_file():
            continue
        digest = hashlib.md5(usedforsecurity=False)
        size = path.stat().st_size
        with path.open("rb") as file, progress(size, f"MD5 of {name}", "bytes") as advance:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                advance(len(chunk))
        yield Md5(name, published, digest.hexdigest())
