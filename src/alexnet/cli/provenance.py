"""A chain of facts, each derived from others, and its output."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from rich.text import Text
from rich.tree import Tree

from alexnet.cli.terminal import printable

MAX_FILES = 6  # shards or archives printed; JSON has all
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


@dataclass(frozen=True)
class Link:
    """A fact, its value, whether it still holds on disk (None: unknown), and its sources."""

    name: str
    value: str
    holds: bool | None
    sources: list["Link"] = field(default_factory=list)

    @property
    def unchanged(self) -> bool:
        """Whether neither this fact nor any of its sources has changed."""
        return self.holds is not False and all(link.unchanged for link in self.sources)


def as_tree(link: Link) -> Tree:
    """Return the chain as a tree, each fact with its mark."""
    tree = Tree(_line(link))
    _add_sources(tree, link)
    return tree


def _add_sources(tree: Tree, link: Link) -> None:
    files = [source for source in link.sources if not source.sources]
    shorten = len(files) > MAX_FILES and all(file.unchanged for file in files)
    hidden = files[MAX_FILES:] if shorten else []
    for source in link.sources:
        if source not in hidden:
            _add_sources(tree.add(_line(source)), source)
    if hidden:
        tree.add(Text(f"✓ and {len(hidden):,} more", style="dim"))


def _line(link: Link) -> Text:
    mark, style = MARKS[link.holds]
    return Text.assemble(
        (mark, style), " ", (printable(link.name), "bold"), "  ", printable(link.value)
    )


def summary(link: Link) -> str:
    """Return one line: nothing changed, or the names of what did."""
    changed = list(dict.fromkeys(_changed(link)))
    if not changed:
        return "nothing has changed since the run"
    return f"changed since the run: {', '.join(changed)}; fix: dvc repro"


def _changed(link: Link) -> Iterator[str]:
    if link.holds is False:
        yield link.name
    for source in link.sources:
        yield from _changed(source)


def as_json(link: Link) -> str:
    """Return the whole chain as JSON."""
    return json.dumps(asdict(link), indent=1, ensure_ascii=False)
