"""Load: CPU time an image on one core, random 224×224 crops into batches of 128, files in memory.

Ours, FFCV's, the plain DataLoaders' and webdataset's batches are uint8; ImageFolder's are floats.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import load_ways as ways
from benchmarks.clock import Costs, interleaved, microseconds
from benchmarks.load_ways import Epoch, Material
from benchmarks.table import Goal, Row, absent_rows, alone, cost_rows, installed, ratio_row

OURS = "ours: the iterator of training"
GATHER = "ours: copying alone"
FIRST = "ours: copying alone, first epoch, checksums"
MEMCPY = "memcpy of the same crops"
LONG, SHORT = 20_000, 4_000  # images an epoch: what it costs once is little, as in one of a million
MAKERS: dict[str, tuple[Callable[[Material, int], Epoch], int]] = {
    OURS: (ways.iterator, LONG),
    GATHER: (ways.gather, LONG),
    FIRST: (ways.first_epoch, SHORT),
    MEMCPY: (ways.memcpy, LONG),
    "FFCV, raw, random place": (ways.ffcv, LONG),
    "FFCV, raw, centre": (ways.ffcv_centre, LONG),
    "DataLoader over our shards": (ways.dataloader, SHORT),
    "DataLoader over our shards, 2 workers": (ways.dataloader_2, LONG),
    "DataLoader over a plain LMDB, raw": (ways.lmdb_raw, SHORT),
    "ours: the iterator, JPEG records": (ways.iterator_jpeg, 0),
    "DataLoader over a plain LMDB, JPEG": (ways.lmdb_jpeg, 0),
    "webdataset, JPEG": (ways.webdataset, 0),
    "DataLoader over ImageFolder, usual transforms": (ways.image_folder, 0),
}
GOALS = {
    MEMCPY: Goal(at_least=0.4),
    "FFCV, raw, random place": Goal(at_least=1),
    "FFCV, raw, centre": Goal(at_least=1),
    "DataLoader over our shards": Goal(at_least=5),
    "DataLoader over ImageFolder, usual transforms": Goal(at_least=100),
}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """All ways in turns, epoch by epoch; second, memcpy beside copying alone."""
    with TemporaryDirectory() as temporary:
        material = Material(photos, Path(temporary))
        passes = {name: max(1, images // len(photos)) for name, (_, images) in MAKERS.items()}
        makers = {name: partial(make, material, passes[name]) for name, (make, _) in MAKERS.items()}
        epochs, absent = installed(makers)
        costs = interleaved(epochs, [0], rounds)
    for name in costs:
        costs[name] /= passes[name]
    told = cost_rows(costs, len(photos), {"": OURS}, GOALS)
    told.insert(1, _memcpy_beside_copying(costs, len(photos)))
    return [_with_rate(row) for row in told] + absent_rows(absent)


def _memcpy_beside_copying(costs: Costs, images: int) -> Row:
    cost = f"{microseconds(costs, MEMCPY, images):,.1f} µs"
    share = costs[MEMCPY] / costs[GATHER]
    return ratio_row(f"{MEMCPY}, ÷ copying alone", cost, share, Goal(at_least=0.5))


def _with_rate(row: Row) -> Row:
    microseconds_an_image = float(row.cost.split()[0].replace(",", ""))
    return row._replace(cost=f"{row.cost}, {1e6 / microseconds_an_image:,.0f} images/s")


if __name__ == "__main__":
    alone(__doc__ or "", rows)
