"""Raw archives → data/index: archive, offset, size and label of each image."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from dataclasses import asdict

from alexnet.archives.root import open_raw
from alexnet.config.schema import Config
from alexnet.config.stage import stage
from alexnet.dataset.index import save_index
from alexnet.index import layouts
from alexnet.runtime.files import replace_folder


@stage
def main(config: Config) -> None:
    dataset = config.dataset
    drawn = asdict(dataset.drawn) if dataset.drawn else None
    root = open_raw(dataset.root, dataset.seed, drawn)
    layout = layouts.find_layout(root) if dataset.layout == "auto" else str(dataset.layout)
    print(f"index: {layouts.LAYOUTS[layout].description} in {root}", flush=True)
    index = layouts.read_index(root, layout, dataset.seed, dataset.held_out)
    with replace_folder(Path(config.into, "index")) as folder:
        save_index(index, folder)
    images = ", ".join(f"{len(rows):,} {split}" for split, rows in index.splits.items())
    order = layouts.describe_label_order(index)
    print(f"index: {images} images of {len(index.synsets):,} classes; {order}")


if __name__ == "__main__":
    main()
