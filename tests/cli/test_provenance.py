import io
import json

from rich.console import Console

from alexnet.cli.provenance import MOST, Link, as_json, as_tree, summary

WHOLE = Link("shards", "abc", True, [Link(f"{n:05d}.lmdb", "1,024 images", True) for n in range(9)])
BROKEN = Link("error", "5 %", None, [Link("code", "9 files; changed since: a.py", False), WHOLE])


def shown(link: Link) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(as_tree(link))
    return out.getvalue()


def test_a_chain_holds_where_each_link_does() -> None:
    assert WHOLE.whole
    assert not BROKEN.whole
    assert summary(WHOLE) == "every link is on disk as it was"
    assert summary(BROKEN) == "not as it was: code; fix: dvc repro"


def test_a_tree_counts_what_is_alike() -> None:
    said = shown(BROKEN)
    assert "✗ code  9 files; changed since: a.py" in said
    assert said.count(".lmdb") == MOST
    assert f"✓ and {9 - MOST} more" in said


def test_a_broken_one_is_never_among_those_that_are_counted() -> None:
    parts = [*WHOLE.because, Link("00009.lmdb", "gone", False)]
    assert "00009.lmdb" in shown(Link("shards", "abc", True, parts))


def test_json_has_all() -> None:
    told = json.loads(as_json(BROKEN))
    assert len(told["because"][1]["because"]) == 9
    assert told["because"][0]["holds"] is False
