"""Write shards of eight images as the resize stage does; test_kills.py kills this script.

python tests/support/small_resize.py WORK ROOT INDEX processes|dask WORKERS|ADDRESS
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from alexnet.config.executor import workers
from alexnet.dataset.index import load_index
from alexnet.resize.jobs import ResizeOptions, Source, join_shards, plan_jobs, run_jobs
from alexnet.runtime.errors import InputError
from alexnet.runtime.scratch import hold_lock

EXECUTORS = {
    "processes": lambda n: {
        "_target_": "concurrent.futures.ProcessPoolExecutor",
        "max_workers": int(n),
    },
    "dask": lambda address: {
        "_target_": "distributed.cfexecutor.ClientExecutor",
        "client": {"_target_": "distributed.Client", "address": address},
        "pure": False,
    },
}


def main() -> None:
    work, root, index = map(Path, sys.argv[1:4])
    executor = EXECUTORS[sys.argv[4]](sys.argv[5])
    rows = load_index(index).splits["train"]
    options = ResizeOptions("bicubic", "raw", apply_exif=True, on_error="skip")
    jobs = plan_jobs(work, rows, Source(index, root, "train"), options, records=8)
    with hold_lock(work / "lock"), workers(executor) as pool:
        run_jobs(pool, jobs, lambda n: print(n, flush=True))
    join_shards(work / "shards/train", rows, jobs)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
