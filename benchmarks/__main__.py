"""All benchmarks, one table each."""

from benchmarks import (
    busy,
    fidelity,
    growth,
    layers,
    load,
    lrn,
    moments,
    prepare,
    scaling,
    step,
    store,
)
from benchmarks.photos import load as load_photos
from benchmarks.table import arguments, show, told

ALL = (prepare, fidelity, store, moments, scaling, growth, load, lrn, step, layers, busy)

if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    photos = load_photos(asked.photos)
    print(told(photos, asked.rounds))
    for benchmark in ALL:
        show((benchmark.__doc__ or "").strip(), benchmark.rows(photos.files, asked.rounds))
