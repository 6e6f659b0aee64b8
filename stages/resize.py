"""data/index and the raw archives → data/shards: each image as 256×256 RGB, in LMDB files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dataclasses import asdict

from alexnet.archives import reader
from alexnet.archives.root import open_raw
from alexnet.config.executor import workers
from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.dataset.index import load_index
from alexnet.resize.jobs import ResizeOptions, Source, join_shards, plan_jobs, run_jobs
from alexnet.resize.shard_writer import summary
from alexnet.runtime.files import move_into_place
from alexnet.runtime.progress import progress
from alexnet.runtime.scratch import fingerprint, scratch_folder, sources


@stage
def main(config: Config) -> None:
    dataset = config.dataset
    drawn = asdict(dataset.drawn) if dataset.drawn else None
    root = open_raw(dataset.root, dataset.seed, drawn)
    folder = Path(config.data, "index").absolute()
    index = load_index(folder)
    reader.check_unchanged(root, index.archives)
    inputs = sorted(folder.iterdir())
    options = ResizeOptions(dataset.resample, dataset.pixels, dataset.apply_exif, dataset.on_error)
    with scratch_folder("resize", fingerprint(asdict(dataset), *inputs, *sources())) as work:
        for split, rows in index.splits.items():
            jobs = plan_jobs(work, rows, Source(folder, root, split), options)
            with (
                workers(config.executor) as pool,
                progress(len(rows), f"resize {split}") as advance,
            ):
                run_jobs(pool, jobs, advance)
            manifest = join_shards(jobs[0].path.parent, rows, jobs)
            print(f"resize: {split}: {summary(manifest)}")
        move_into_place(work / "shards", Path(config.into, "shards"))


if __name__ == "__main__":
    main()
