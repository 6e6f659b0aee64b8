"""data/shards/train → data/moments: its mean image, and the eigenpairs of its RGB covariance."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from functools import partial

from hydra.utils import instantiate

from alexnet import moments
from alexnet.config import Config, stage
from alexnet.progress import track
from alexnet.scratch import emptied
from alexnet.shards import Shards

TRAIN = Path("data/shards/train")


@stage
def main(config: Config) -> None:
    count = len(Shards(TRAIN).manifest["shards"])
    with instantiate(config.executor) as pool:
        each = pool.map(partial(moments.sums_of_shard, TRAIN), range(count))
        total = sum(track(each, count, "moments", "shards"), start=moments.NOTHING)
    colour = moments.save_moments(emptied(Path("data/moments")), total)
    means = " / ".join(f"{mean:.1f}" for mean in colour["channel_means"])
    deviations = " / ".join(f"{root:.2f}" for root in colour["sqrt_eigenvalues"])
    print(f"moments: channel means {means} (R / G / B), √λ {deviations}, of 0–255")


if __name__ == "__main__":
    main()
