"""The thousand classes of ILSVRC-2012 and the files that describe classes."""

import hashlib
from pathlib import Path

import pytest

from alexnet.index.synsets import ilsvrc2012_wnids, is_synset_tar, read_words
from alexnet.runtime.errors import InputError


def test_the_thousand_wnids_are_in_the_order_of_the_devkit() -> None:
    wnids = ilsvrc2012_wnids()
    assert wnids[:3] == ["n02119789", "n02100735", "n02110185"]
    assert len(set(wnids)) == len(wnids) == 1000
    assert wnids != sorted(wnids)
    digest = hashlib.sha256("\n".join(wnids).encode()).hexdigest()
    assert digest[:16] == "930a31901625f214"


def test_words_are_read_from_tabs_or_spaces(tmp_path: Path) -> None:
    assert read_words(tmp_path) == {}
    (tmp_path / "words.txt").write_text("n01\tfish, of the sea\n\nn02 cat \nn03\n")
    assert read_words(tmp_path) == {"n01": "fish, of the sea", "n02": "cat", "n03": "n03"}
    (tmp_path / "words.txt").write_bytes(b"n01\t\xff")
    with pytest.raises(InputError, match=r"words\.txt is not valid UTF-8.*; fix: download"):
        read_words(tmp_path)


def test_only_tars_named_after_a_wnid_are_synset_tars() -> None:
    assert is_synset_tar("n01440764.tar")
    assert not any(map(is_synset_tar, ("n0144076.tar", "n01440764.tar.gz", "a01440764.tar")))
