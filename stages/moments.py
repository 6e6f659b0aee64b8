"""data/shards/train → data/moments: the mean image and the eigenpairs of the RGB covariance."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from functools import partial

from alexnet.config.executor import workers
from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.dataset.moments import save_moments
from alexnet.dataset.shards import Shards
from alexnet.moments.pca import compute_colour_moments, compute_mean_image
from alexnet.moments.sums import ZERO, sum_shard
from alexnet.runtime.files import replace_folder
from alexnet.runtime.progress import progress


@stage
def main(config: Config) -> None:
    train = Shards(Path(config.data, "shards/train").absolute())
    count = range(len(train.manifest.shards))
    total = ZERO
    with workers(config.executor) as pool, progress(len(train), "moments") as advance:
        for sums in pool.map(partial(sum_shard, train.folder), count):
            total = total + sums
            advance(sums.count)
    with replace_folder(Path(config.into, "moments")) as folder:
        colour = compute_colour_moments(total)
        save_moments(folder, compute_mean_image(total), colour)
    means = " / ".join(f"{mean:.1f}" for mean in colour["channel_means"])
    deviations = " / ".join(f"{root:.2f}" for root in colour["sqrt_eigenvalues"])
    print(f"moments: channel means {means} (R / G / B), √λ {deviations}, of 0–255")


if __name__ == "__main__":
    main()
