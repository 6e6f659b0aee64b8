"""All benchmarks of preparing data, one table each."""

from benchmarks import fidelity, growth, moments, prepare, scaling, store
from benchmarks.photos import load
from benchmarks.table import arguments, show, told

ALL = (prepare, fidelity, store, moments, scaling, growth)

if __name__ == "__main__":
    asked = arguments(__doc__ or "")
    photos = load(asked.photos)
    print(told(photos, asked.rounds))
    for benchmark in ALL:
        show((benchmark.__doc__ or "").strip(), benchmark.rows(photos.files, asked.rounds))
