"""A chain of facts, each resting on others, and how it is shown."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from rich.text import Text
from rich.tree import Tree

from alexnet.cli.terminal import printable

MOST = 6  # shards or archives shown; JSON has all
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


@dataclass(frozen=True)
class Link:
    """One fact, what it is, whether it holds on disk now (None: not to be told), and on what."""

    name: str
    told: str
    holds: bool | None
    because: list["Link"] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing in it or below it has changed."""
        return self.holds is not False and all(link.whole for link in self.because)


def as_tree(link: Link) -> Tree:
    """The chain as it is looked at, each link with its mark."""
    tree = Tree(_line(link))
    _grow(tree, link)
    return tree


def _grow(tree: Tree, link: Link) -> None:
    files = [each for each in link.because if not each.because]
    hidden = files[MOST:] if len(files) > MOST and all(each.whole for each in files) else []
    for each in link.because:
        if each not in hidden:
            _grow(tree.add(_line(each)), each)
    if hidden:
        tree.add(Text(f"✓ and {len(hidden):,} more", style="dim"))


def _line(link: Link) -> Text:
    mark, style = MARKS[link.holds]
    return Text.assemble(
        (mark, style), " ", (printable(link.name), "bold"), "  ", printable(link.told)
    )


def summary(link: Link) -> str:
    """Whether the chain holds, and if not where it does not."""
    broken = list(dict.fromkeys(_broken(link)))
    if not broken:
        return "every link is on disk as it was"
    return f"not as it was: {', '.join(broken)}; fix: dvc repro"


def _broken(link: Link) -> Iterator[str]:
    if link.holds is False:
        yield link.name
    for each in link.because:
        yield from _broken(each)


def as_json(link: Link) -> str:
    """The whole chain, nothing left out."""
    return json.dumps(asdict(link), indent=1, ensure_ascii=False)
