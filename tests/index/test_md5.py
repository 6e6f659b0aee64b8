"""MD5 checksums of the archives that are present."""

import hashlib
from pathlib import Path

import pytest

from alexnet.index import md5
from alexnet.index.ilsvrc import DEVKIT, VAL_TAR


def test_archives_are_compared_with_their_published_checksums(
    miniature: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = hashlib.md5((miniature / VAL_TAR).read_bytes()).hexdigest()
    published = {VAL_TAR: right, DEVKIT: "0" * 32, "missing.tar": ""}
    monkeypatch.setattr(md5, "PUBLISHED", published)
    checked = list(md5.check_md5(miniature))
    assert [(archive.name, archive.found == archive.published) for archive in checked] == [
        (VAL_TAR, True),
        (DEVKIT, False),
    ]
