"""Write shards of eight images as the stage does, to be killed by test_kills.py.

python tests/support/small_resize.py WORK ROOT INDEX processes|dask WORKERS|ADDRESS
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from alexnet.config.executor import workers
from alexnet.dataset.index import load_index
from alexnet.resize.jobs import join, resize, shard_jobs
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
    jobs = shard_jobs(
        work, rows, records=8, index=index, root=root, split="train", resample="bicubic",
        pixels="raw", apply_exif=True, on_error="skip",
    )  # fmt: skip
    with hold_lock(work / "lock"), workers(executor) as pool:
        resize(pool, jobs, lambda n: print(n, flush=True))
    join(work / "shards/train", rows, jobs)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
