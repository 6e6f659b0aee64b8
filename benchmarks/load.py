"""Load: CPU time per image on one core, random 224×224 crops in batches of 128, files cached.

Batches are uint8, except ImageFolder's, which are floats.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import load_ways as ways
from benchmarks.clock import Costs, measure_interleaved, median_microseconds
from benchmarks.load_ways import Epoch, Material
from benchmarks.table import Goal, Row, cost_rows, main, make_installed, missing_rows, ratio_row

OURS = "ours: training's iterator"
GATHER = "ours: copying only"
FIRST = "ours: copying only, first epoch, checksums"
MEMCPY = "memcpy of the same crops"
LONG, SHORT = 20_000, 4_000  # images per epoch: fixed costs are small, as in a long epoch
MAKERS: dict[str, tuple[Callable[[Material, int], Epoch], int]] = {
    OURS: (ways.iterator, LONG),
    GATHER: (ways.gather, LONG),
    FIRST: (ways.first_epoch, SHORT),
    MEMCPY: (ways.memcpy, LONG),
    "FFCV, raw, random crop": (ways.ffcv, LONG),
    "FFCV, raw, centre crop": (ways.ffcv_centre, LONG),
    "DataLoader over our shards": (ways.dataloader, SHORT),
    "DataLoader over our shards, 2 workers": (ways.dataloader_2, LONG),
    "DataLoader over a plain LMDB, raw": (ways.lmdb_raw, SHORT),
    "ours: training's iterator, JPEG records": (ways.iterator_jpeg, 0),
    "DataLoader over a plain LMDB, JPEG": (ways.lmdb_jpeg, 0),
    "webdataset, JPEG": (ways.webdataset, 0),
    "DataLoader over ImageFolder, usual transforms": (ways.image_folder, 0),
}
GOALS = {
    MEMCPY: Goal(at_least=0.4),
    "FFCV, raw, random crop": Goal(at_least=1),
    "FFCV, raw, centre crop": Goal(at_least=1),
    "DataLoader over our shards": Goal(at_least=5),
    "DataLoader over ImageFolder, usual transforms": Goal(at_least=100),
}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure all ways, interleaved by epoch; the second row is memcpy ÷ copying only."""
    with TemporaryDirectory() as temporary:
        material = Material(photos, Path(temporary))
        passes = {name: max(1, images // len(photos)) for name, (_, images) in MAKERS.items()}
        makers = {name: partial(make, material, passes[name]) for name, (make, _) in MAKERS.items()}
        epochs, missing = make_installed(makers)
        costs = measure_interleaved(epochs, [0], rounds)
    for name in costs:
        costs[name] /= passes[name]
    rows = cost_rows(costs, len(photos), {"": OURS}, GOALS)
    rows.insert(1, _memcpy_share(costs, len(photos)))
    return [_with_rate(row) for row in rows] + missing_rows(missing)


def _memcpy_share(costs: Costs, images: int) -> Row:
    cost = f"{median_microseconds(costs, MEMCPY, images):,.1f} µs"
    share = costs[MEMCPY] / costs[GATHER]
    return ratio_row(f"{MEMCPY}, ÷ copying only", cost, share, Goal(at_least=0.5))


def _with_rate(row: Row) -> Row:
    microseconds = float(row.cost.split()[0].replace(",", ""))
    return row._replace(cost=f"{row.cost}, {1e6 / microseconds:,.0f} images/s")


if __name__ == "__main__":
    main(__doc__ or "", rows)
