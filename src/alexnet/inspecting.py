"""What the stages made, as tables and pictures to look at."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.table import Table

from alexnet.errors import InputError
from alexnet.figures import eigenpairs_picture
from alexnet.moments import load_moments
from alexnet.pictures import png_bytes, relit_picture
from alexnet.report import IMAGENET_AXES, IMAGENET_DEVIATIONS, IMAGENET_MEANS
from alexnet.sealed import read_sealed
from alexnet.shards import Shards

TIMES = 4  # the strip's photo is drawn at 256 / TIMES pixels


def moments_table(folder: Path) -> Table:
    """The channel means and the eigenpairs beside those of ILSVRC-2012's training images.

    Raises InputError where `folder` holds no moments.
    """
    load_moments(folder)
    colour = read_sealed(folder / "moments.json")
    table = Table(title=f"{colour['images']:,} images; {colour['units']}", title_justify="left")
    for head in ("", "here", "ILSVRC-2012"):
        table.add_column(head, justify="left" if not head else "right")
    for name, mean, reference in zip("RGB", colour["channel_means"], IMAGENET_MEANS, strict=True):
        table.add_row(f"mean of {name}", f"{mean:.2f}", f"{reference:.1f}")
    table.add_section()
    pairs = zip(colour["eigenvalues"], colour["sqrt_eigenvalues"], IMAGENET_DEVIATIONS, strict=True)
    for n, (value, root, reference) in enumerate(pairs, 1):
        table.add_row(f"λ{n}", f"{value:,.1f}", f"{reference**2:,.0f}")
        table.add_row(f"√λ{n}", f"{root:.2f}", f"{reference:.2f}")
    table.add_section()
    for n, (here, reference) in enumerate(
        zip(colour["eigenvectors"], IMAGENET_AXES, strict=True), 1
    ):
        table.add_row(f"p{n} (R, G, B; ±)", _vector(here), _vector(reference))
    return table


def draw_moments(data: Path, folder: Path) -> Iterator[Path]:
    """Write mean_image.png, eigenpairs.png and relit.png, a photo of the set relit along each axis.

    Raises InputError where `data` lacks moments or shards.
    """
    moments = load_moments(data / "moments")
    train = Shards(data / "shards/train")
    photo = train.read(train.records[0])[::TIMES, ::TIMES]
    pairs = moments.eigenvalues, moments.eigenvectors
    pictures = {
        "mean_image.png": (data / "moments/mean_image.png").read_bytes(),
        "eigenpairs.png": eigenpairs_picture(*pairs),
        "relit.png": png_bytes(relit_picture(photo, *pairs)),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}", "name another folder") from None
    for name, png in pictures.items():
        (folder / name).write_bytes(png)
        yield folder / name


def _vector(values: Iterable[float]) -> str:
    return " ".join(f"{value:+.3f}" for value in values)
