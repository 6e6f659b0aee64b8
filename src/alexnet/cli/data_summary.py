"""The index, the shards and the moments as tables and pictures."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.table import Table

from alexnet.cli.terminal import printable
from alexnet.dataset.checksummed import read_checksummed_json
from alexnet.dataset.index import Index, Rows, load_index
from alexnet.dataset.manifest import OddFile
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.index.layouts import describe_label_order
from alexnet.moments.pca import IMAGENET_AXES, IMAGENET_DEVIATIONS, IMAGENET_MEANS

REDUCTION = 4  # the relit photo is 256 / REDUCTION pixels wide
MAX_ROWS = 12  # of a table; the rest is counted
SHEET = 10, 6, 96  # columns, rows, pixels of a thumbnail
MEGA, GIGA = 1e6, 1e9


def index_tables(folder: Path) -> Iterator[Table]:
    """Yield the splits with their smallest and largest class, then the archives.

    Raises InputError if `folder` holds no index.
    """
    index = load_index(folder)
    title = f"{len(index.synsets):,} classes; {describe_label_order(index)}"
    table = columns(title, "split", "images", "GB", "smallest class", "largest class")
    for split, rows in index.splits.items():
        size = f"{rows['size'].sum() / GIGA:,.3f}"
        table.add_row(split, f"{len(rows):,}", size, *_extremes(index, rows))
    yield table
    table = columns("sources", "archive or folder", "images", "MB")
    archives = [rows["archive"] for rows in index.splits.values()]
    counts = np.bincount(np.concatenate(archives), minlength=len(index.archives))
    sources = zip(index.archives, counts.tolist(), strict=True)
    add_rows(
        table, [(printable(path), f"{n:,}", f"{size / MEGA:,.1f}") for (path, size), n in sources]
    )
    yield table


def _extremes(index: Index, rows: Rows) -> Iterator[str]:
    counts = np.bincount(rows["label"], minlength=len(index.synsets))
    for label in (int(counts.argmin()), int(counts.argmax())):
        yield f"{counts[label]:,} {printable(index.synsets[label].wnid)}"


def shards_tables(folder: Path) -> Iterator[Table]:
    """Yield the shards of a split, then its odd files by kind.

    Raises InputError if `folder` is not a complete split.
    """
    manifest = Shards(folder).manifest
    shards = manifest.shards
    images = sum(shard.records for shard in shards)
    size = sum(shard.bytes for shard in shards) / MEGA
    title = f"{folder.name}: {images:,} images, {size:,.1f} MB of {manifest.pixels} pixels"
    table = columns(title, "shard", "first record", "records", "MB", "SHA-256")
    add_rows(
        table,
        [
            (s.file, f"{s.first:,}", f"{s.records:,}", f"{s.bytes / MEGA:,.1f}", s.sha256[:12])
            for s in shards
        ],
    )
    yield table
    if manifest.odd:
        yield _ledger(manifest.odd)


def _ledger(odd: Sequence[OddFile]) -> Table:
    """Count the odd files of each kind and name the first."""
    kinds = Counter((file.what, file.done) for file in odd)
    first = {(file.what, file.done): file.name for file in reversed(odd)}
    table = columns("odd files", "files", "action", "reason", "first file")
    rows = [
        (f"{n:,}", kind[1], printable(kind[0]), printable(first[kind]))
        for kind, n in kinds.most_common()
    ]
    add_rows(table, rows)
    return table


def contact_sheet(folder: Path) -> bytes:
    """Return sixty evenly spaced images of a split as a PNG file."""
    from alexnet.figures.style import encode_png

    across, down, side = SHEET
    shards = Shards(folder)
    sheet = Image.new("RGB", (across * side, down * side), "white")
    chosen = np.linspace(0, len(shards) - 1, min(across * down, len(shards))).astype(int)
    for n, record in enumerate(shards.records[chosen].tolist()):
        small = Image.fromarray(shards.read(record)).resize((side, side), Image.Resampling.BOX)
        sheet.paste(small, (n % across * side, n // across * side))
    return encode_png(sheet)


def moments_table(folder: Path) -> Table:
    """Return channel means and eigenpairs beside those of ILSVRC-2012's training set.

    Raises InputError if `folder` holds no moments.
    """
    load_moments(folder)
    colour = read_checksummed_json(folder / "moments.json")
    table = Table(title=f"{colour['images']:,} images; {colour['units']}", title_justify="left")
    for head in ("", "this data", "ILSVRC-2012"):
        table.add_column(head, justify="left" if not head else "right")
    for name, mean, reference in zip("RGB", colour["channel_means"], IMAGENET_MEANS, strict=True):
        table.add_row(f"mean of {name}", f"{mean:.2f}", f"{reference:.1f}")
    table.add_section()
    pairs = zip(colour["eigenvalues"], colour["sqrt_eigenvalues"], IMAGENET_DEVIATIONS, strict=True)
    for n, (value, root, reference) in enumerate(pairs, 1):
        table.add_row(f"λ{n}", f"{value:,.1f}", f"{reference**2:,.0f}")
        table.add_row(f"√λ{n}", f"{root:.2f}", f"{reference:.2f}")
    table.add_section()
    for n, (vector, reference) in enumerate(
        zip(colour["eigenvectors"], IMAGENET_AXES, strict=True), 1
    ):
        table.add_row(f"p{n} (R, G, B; ±)", _vector(vector), _vector(reference))
    return table


def moments_pictures(data: Path) -> dict[str, bytes]:
    """Return PNG files: mean_image, eigenpairs, relit (a photo along each axis).

    Raises InputError if `data` lacks moments or shards.
    """
    from alexnet.figures.pca_colour import draw_colour_shifts, plot_eigenpairs
    from alexnet.figures.style import encode_png, plot_png

    moments = load_moments(data / "moments")
    train = Shards(data / "shards/train")
    photo = train.read(train.records[0])[::REDUCTION, ::REDUCTION]
    pairs = moments.eigenvalues, moments.eigenvectors
    return {
        "mean_image": (data / "moments/mean_image.png").read_bytes(),
        "eigenpairs": plot_png(partial(plot_eigenpairs, *pairs)),
        "relit": encode_png(draw_colour_shifts(photo, *pairs)),
    }


def columns(title: str, *heads: str) -> Table:
    """Return a table without side borders: text aligned left, numbers right."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    text = {"smallest class", "largest class", "action", "reason", "first file", "SHA-256", ""}
    for n, head in enumerate(heads):
        left = n == 0 or head in text
        table.add_column(head, justify="left" if left else "right", overflow="fold")
    return table


def add_rows(table: Table, rows: Sequence[tuple[str, ...]]) -> None:
    """Add at most MAX_ROWS rows, then the number of the others."""
    for row in rows[:MAX_ROWS]:
        table.add_row(*row)
    if len(rows) > MAX_ROWS:
        table.add_row(f"and {len(rows) - MAX_ROWS:,} more")


def _vector(values: Iterable[float]) -> str:
    return " ".join(f"{value:+.3f}" for value in values)
