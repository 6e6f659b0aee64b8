"""data/index and the raw archives → data/shards: every image as 256×256 RGB, in LMDB files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dataclasses import asdict

from alexnet import archives, resizing
from alexnet.config import Config, stage, workers
from alexnet.index import load_index
from alexnet.progress import progress
from alexnet.scratch import fingerprint, scratch, sources, take_place
from alexnet.sharding import summary


@stage
def main(config: Config) -> None:
    dataset = config.dataset
    drawn = asdict(dataset.drawn) if dataset.drawn else None
    root = archives.open_raw(dataset.root, dataset.seed, drawn)
    folder = Path(config.data, "index").absolute()
    index = load_index(folder)
    archives.check_unchanged(root, index.archives)
    inputs = sorted(folder.iterdir())
    with scratch("resize", fingerprint(asdict(dataset), *inputs, *sources())) as work:
        for split, rows in index.splits.items():
            jobs = resizing.shard_jobs(
                work,
                rows,
                index=folder,
                root=root,
                split=split,
                resample=dataset.resample,
                pixels=dataset.pixels,
                apply_exif=dataset.apply_exif,
                on_error=dataset.on_error,
            )
            with workers(config.executor) as pool, progress(len(rows), f"resize {split}") as go:
                resizing.resize(pool, jobs, go)
            manifest = resizing.join(jobs[0].path.parent, rows, jobs)
            print(f"resize: {split}: {summary(manifest)}")
        take_place(work / "shards", Path(config.data, "shards"))


if __name__ == "__main__":
    main()
