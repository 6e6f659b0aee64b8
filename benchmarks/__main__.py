"""Run all benchmarks and print a table for each."""

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
from benchmarks.table import describe_run, parse_arguments, show

ALL = (prepare, fidelity, store, moments, scaling, growth, load, lrn, step, layers, busy)

if __name__ == "__main__":
    args = parse_arguments(__doc__ or "")
    photos = load_photos(args.photos)
    print(describe_run(photos, args.rounds))
    for benchmark in ALL:
        show((benchmark.__doc__ or "").strip(), benchmark.rows(photos.files, args.rounds))
