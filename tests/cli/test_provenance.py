import io
import json

from rich.console import Console

from alexnet.cli.provenance import MAX_FILES, Link, as_json, as_tree, summary

INTACT = Link(
    "shards", "abc", True, [Link(f"{n:05d}.lmdb", "1,024 images", True) for n in range(9)]
)
CHANGED = Link("error", "5 %", None, [Link("code", "9 files; changed since: a.py", False), INTACT])


def printed(link: Link) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(as_tree(link))
    return out.getvalue()


def test_a_chain_is_unchanged_if_every_link_holds() -> None:
    assert INTACT.unchanged
    assert not CHANGED.unchanged
    assert summary(INTACT) == "nothing has changed since the run"
    assert summary(CHANGED) == "changed since the run: code; fix: dvc repro"


def test_a_tree_shortens_a_long_list_of_unchanged_files() -> None:
    text = printed(CHANGED)
    assert "✗ code  9 files; changed since: a.py" in text
    assert text.count(".lmdb") == MAX_FILES
    assert f"✓ and {9 - MAX_FILES} more" in text


def test_a_list_with_a_changed_file_is_printed_in_full() -> None:
    parts = [*INTACT.sources, Link("00009.lmdb", "gone", False)]
    assert "00009.lmdb" in printed(Link("shards", "abc", True, parts))


def test_json_contains_every_link() -> None:
    chain = json.loads(as_json(CHANGED))
    assert len(chain["sources"][1]["sources"]) == 9
    assert chain["sources"][0]["holds"] is False
