"""What `alexnet verify` and `alexnet doctor` look at, of the checkout and its configuration.

Each imports what it needs: `explain`, too, asks here where the raw data set is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexnet.archives.root import drawn_folder, open_raw
from alexnet.config.compose import load_config
from alexnet.config.executor import workers
from alexnet.config.schema import Config
from alexnet.dataset.index import load_index
from alexnet.runtime.errors import InputError
from alexnet.runtime.paths import CHECKOUT

if TYPE_CHECKING:
    from alexnet.cli.diagnosis import Finding
    from alexnet.cli.dvc_lock import Output


DATA = CHECKOUT / "data"


def damage(parameters: list[str], note: Callable[[str], None]) -> Iterator[str]:
    """Whatever is under data/ and not as it was written; what cannot be known goes to `note`."""
    from alexnet.cli import dvc_lock

    config = load_config(parameters)
    with workers(config.executor) as pool:
        yield from damage_in(CHECKOUT, pool, dvc_lock.outputs(CHECKOUT), note)


def damage_in(
    root: Path, pool: Executor, outputs: list[Output], note: Callable[[str], None]
) -> Iterator[str]:
    """The same of any checkout, its outputs known."""
    from alexnet.cli import dvc_lock
    from alexnet.cli.integrity import verify, verify_model

    data = root / "data"
    try:
        yield from verify(pool, data, load_index(data / "index"))
    except InputError as error:  # of the index: all else is still looked at
        yield str(error)
    yield from verify_model(data / "train")
    for output in outputs:
        yield from dvc_lock.damage(root, output, note)


def wrong_md5(parameters: list[str]) -> Iterator[str]:
    """The raw archives whose MD5 is not the one published."""
    from alexnet.index import layouts

    dataset = load_config(parameters).dataset
    if dataset.drawn:
        raise InputError("the data set is drawn: nobody published its MD5", "dataset=ilsvrc2012")
    root = _root(dataset)
    known = list(layouts.check_md5(root))
    if not known:
        names = ", ".join(layouts.MD5)
        raise InputError(f"{root} has no archive whose MD5 is published: {names}")
    for name, expected, found in known:
        if found != expected:
            yield f"{name}: MD5 {found}, published is {expected}; fix: download it again"


def findings(parameters: list[str]) -> Iterator[Finding]:
    """What doctor tells, problems among it; none of them keeps it from the next."""
    from alexnet.cli import diagnosis as doctor

    try:
        config = load_config(parameters)
    except InputError as error:
        yield doctor.problem("parameters", error)
    else:
        yield from doctor.attempted("raw data", lambda: _raw(config.dataset))
        yield from doctor.attempted("training", lambda: _training(config))
    yield from doctor.attempted("DVC's files", lambda: dvc_damage(CHECKOUT))
    yield from doctor.machine()
    yield from doctor.versions(CHECKOUT / "requirements.lock")


def dvc_damage(checkout: Path) -> Iterator[Finding]:
    """The files that a killed DVC left half-written."""
    from alexnet.cli import dvc_repair
    from alexnet.cli.diagnosis import Finding

    for line in dvc_repair.check(checkout):
        yield Finding("DVC's files", line, dvc_repair.COMMAND)


def _raw(dataset: Any) -> Iterator[Finding]:
    from alexnet.cli import diagnosis as doctor
    from alexnet.cli.diagnosis import Finding
    from alexnet.index import layouts

    root = _root_if_drawn(dataset)
    if root is None:
        yield Finding("raw data", "the miniature, not drawn yet: dvc repro draws it")
        return
    layout = layouts.find_layout(root) if dataset.layout == "auto" else str(dataset.layout)
    yield Finding("raw data", f"{layouts.DESCRIPTIONS[layout]} in {root}")
    yield from doctor.attempted("data/index", lambda: doctor.drift(DATA, root))
    index = layouts.read_index(root, layout, dataset.seed, dataset.held_out)
    yield from doctor.raw(index)
    yield from doctor.needs(index, doctor.tried(root, index, dataset), dataset, CHECKOUT)


def _training(config: Config) -> Iterator[Finding]:
    from alexnet.cli import diagnosis as doctor

    model = asdict(config.model)
    del model["init_std"], model["init_bias"]
    return doctor.training(model, config.recipe.batch_size)


def raw_at_hand() -> Path | None:
    """The raw data set, where params.yaml tells it and it is there; nothing is drawn."""
    try:
        return _root_if_drawn(load_config([]).dataset)
    except InputError:
        return None


def _root_if_drawn(dataset: Any) -> Path | None:
    """The raw data set; None where it is a miniature that nobody has drawn yet."""
    if not dataset.drawn:
        return _root(dataset)
    folder = drawn_folder(dataset.root, dataset.seed, asdict(dataset.drawn))
    return folder if folder.exists() else None


def _root(dataset: Any) -> Path:
    return open_raw(dataset.root, dataset.seed, asdict(dataset.drawn) if dataset.drawn else None)
