"""The answer for a photo, as JSON or a table."""

import json
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from alexnet.cli.photos import Answer
from alexnet.cli.terminal import printable
from alexnet.dataset.index import Synset

BAR = 20  # characters at 100 %
EIGHTHS = " ▏▎▍▌▋▊▉"


def as_json(answer: Answer, synsets: Sequence[Synset]) -> str:
    """Return an answer as one line of JSON."""
    pairs = zip(answer.labels, answer.probabilities, strict=True)
    top = [{"label": n, **_class(synsets[n]), "probability": p} for n, p in pairs]
    return json.dumps({"photo": str(answer.photo), "top": top, "odd": answer.odd})


def heading(answer: Answer) -> Text:
    """Return the photo's name, and what was odd about it."""
    odd = f"  ({printable('; '.join(answer.odd))})" if answer.odd else ""
    return Text.assemble((printable(str(answer.photo)), "bold"), (odd, "dim"), overflow="fold")


def as_table(answer: Answer, synsets: Sequence[Synset]) -> Table:
    """Return a table: probability, bar, wnid and words of each label."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right", no_wrap=True, width=9)
    for style in ("cyan", "dim"):
        table.add_column(no_wrap=True, style=style)
    table.add_column(overflow="fold")
    for label, probability in zip(answer.labels, answer.probabilities, strict=True):
        synset = _class(synsets[label])
        cells = f"{100 * probability:.1f} %", bar(probability), synset["wnid"], synset["words"]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def bar(probability: float) -> str:
    """Return a bar, BAR characters at probability 1, in eighths of characters."""
    full, eighths = divmod(round(8 * BAR * probability), 8)
    return ("█" * full + EIGHTHS[eighths]).ljust(BAR)[:BAR]


def _class(synset: Synset) -> dict[str, str]:
    return {"wnid": printable(synset.wnid), "words": printable(synset.words)}
