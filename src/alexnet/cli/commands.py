"""What each command of `alexnet` does: it asks the library, and shows what that found."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from alexnet.cli.terminal import Screen, bar_if_slow, printable
from alexnet.runtime.errors import InputError
from alexnet.runtime.paths import CHECKOUT

DATA = CHECKOUT / "data"


def predict(arguments: Namespace) -> int:
    """Print the likeliest labels of each photo; 1 if one could not be read."""
    import torch

    from alexnet.cli.answers import as_json, as_table, heading
    from alexnet.cli.photos import Refused, Rule, answers, photos_in
    from alexnet.launch.gpus import pick_device
    from alexnet.model.precision import pick_autocast
    from alexnet.runtime.processes import prepare_process

    prepare_process()
    net, moments, described = _model(arguments)
    device = pick_device("auto")
    mean = torch.from_numpy(moments.mean_image).to(device)
    photos = list(photos_in(map(Path, _named(arguments.photos))))
    rule = Rule(described["input"]["resample"], not arguments.as_stored)
    how = rule, arguments.batch, arguments.top, arguments.center
    screen, refused = Screen(), 0
    with (
        pick_autocast(described["recipe"]["precision"], device),
        bar_if_slow(len(photos), "predict") as advance,
    ):
        for answer in answers(net.to(device), mean, photos, *how):
            if isinstance(answer, Refused):
                refused += 1
                print(f"{printable(str(answer.photo))}: {answer.why}", file=sys.stderr)
            elif arguments.json:
                print(as_json(answer, described["synsets"]))
            else:
                screen.print(heading(answer), soft_wrap=True)
                screen.print(as_table(answer, described["synsets"]))
            advance(1)
    return 1 if refused else 0


def _named(photos: list[str]) -> list[str]:
    """The names of the line, or those on stdin: all that a line of it can hold is a name."""
    if photos != ["-"]:
        return photos
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # a file's name need not be UTF-8
    names = [name for name in sys.stdin.read().split("\n") if name]
    if not names:
        raise InputError("no photo was named on stdin", "alexnet predict PHOTO")
    return names


def inspect(arguments: Namespace) -> int:
    """Print what a stage made, and draw it where pictures are asked for."""
    tables, pictures = INSPECTED[arguments.what](arguments)
    screen = Screen()
    for table in tables:
        screen.print(table)
    if arguments.pictures:
        for name, png in pictures().items():
            print(_written(arguments.pictures, name, png))
    return 0


Seen = tuple[Iterable[RenderableType], Callable[[], Mapping[str, bytes]]]


def _index(arguments: Namespace) -> Seen:
    from alexnet.cli.data_summary import (
        index_tables,
    )

    return index_tables(DATA / "index"), dict


def _shards(arguments: Namespace) -> Seen:
    from alexnet.cli.data_summary import (
        contact_sheet,
        shards_tables,
    )
    from alexnet.dataset.index import load_index

    folders = [DATA / "shards" / split for split in load_index(DATA / "index").splits]
    tables = (table for folder in folders for table in shards_tables(folder))
    return tables, lambda: {folder.name: contact_sheet(folder) for folder in folders}


def _moments(arguments: Namespace) -> Seen:
    from alexnet.cli.data_summary import (
        moments_pictures,
        moments_table,
    )

    return [moments_table(DATA / "moments")], lambda: moments_pictures(DATA)


def _network(arguments: Namespace) -> Seen:
    from alexnet.cli import model_summary
    from alexnet.model.model_file import read_model

    weights, _, described = read_model(_model_path(arguments))
    of = weights, described
    return model_summary.model_tables(*of), lambda: model_summary.model_pictures(*of)


INSPECTED: dict[str, Callable[[Namespace], Seen]] = {
    "index": _index,
    "shards": _shards,
    "moments": _moments,
    "model": _network,
}


def explain(arguments: Namespace) -> int:
    """Print what a metric rests on; 1 if any of it has changed since."""
    from alexnet.cli import provenance
    from alexnet.cli.checkups import raw_at_hand
    from alexnet.cli.trace import explain

    link = explain(CHECKOUT, arguments.metric, raw_at_hand())
    if arguments.json:
        print(provenance.as_json(link))
    else:
        Screen().print(provenance.as_tree(link))
        print(f"explain: {provenance.summary(link)}")
    return 0 if link.whole else 1


def export(arguments: Namespace) -> int:
    """Write a model as a graph that others run, compared with the original."""
    import torch

    from alexnet.cli import graph_export as export_module
    from alexnet.runtime.processes import prepare_process

    prepare_process()
    asked = {kind: getattr(arguments, kind) for kind in export_module.KINDS}
    for kind in (kind for kind, path in asked.items() if path):
        export_module.check_needed(kind)
    net, moments, described = _model(arguments)
    mean = torch.from_numpy(moments.mean_image)
    for kind, path in asked.items():
        if path:
            apart = export_module.export(path, kind, net, mean, described, arguments.ten_views)
            size = path.stat().st_size / 1e6
            told = f"no probability differs by more than {apart:.1g} from the original's"
            print(f"{path}: {size:,.1f} MB; {told}", flush=True)
    return 0


def compare(arguments: Namespace) -> int:
    """Print this run's errors beside the paper's; or write them into the README."""
    from alexnet.comparison import results_on_disk
    from alexnet.comparison.tables import (
        comparison,
        comparison_markdown,
        comparison_table,
        write_readme,
    )

    results = results_on_disk.collect if arguments.readme else results_on_disk.on_disk
    found = comparison(results(CHECKOUT))
    if arguments.readme:
        write_readme(CHECKOUT / "README.md", found)
    elif arguments.markdown:
        print(comparison_markdown(found))
    else:
        Screen().print(comparison_table(found))
    return 0


def submit(arguments: Namespace) -> int:
    """Write what ILSVRC's server takes; 1 if an image could not be read."""
    from alexnet.cli.submission import load_voters, write_submission
    from alexnet.launch.gpus import pick_device
    from alexnet.runtime.processes import prepare_process

    prepare_process()
    models = arguments.model or [DATA / "train"]
    voters = load_voters(models, pick_device("auto"))
    wrong = write_submission(arguments.out, voters, arguments.images)
    for why in wrong:
        print(f"{printable(why)}: its line is of zeros", file=sys.stderr)
    print(f"submit: {arguments.out}")
    return 1 if wrong else 0


def verify(arguments: Namespace) -> int:
    """Read all of data/ again, or with --md5 all of the raw archives; 1 if anything is wrong."""
    from alexnet.cli import checkups

    md5 = arguments.md5
    chosen = arguments.parameters
    problems = 0
    for problem in checkups.wrong_md5(chosen) if md5 else checkups.damage(chosen, _note):
        print(problem, flush=True)
        problems += 1
    whole = "archives are as published" if md5 else "data/ is as it was written"
    counted = f"{problems} {'problem' if problems == 1 else 'problems'}"
    print(f"verify: {counted if problems else whole}")
    return 1 if problems else 0


def _note(line: str) -> None:
    print(f"note: {line}", flush=True)


def doctor(arguments: Namespace) -> int:
    """What is there, what the run would need, what is to be fixed; 1 if anything is."""
    from alexnet.cli import checkups

    found = list(checkups.findings(arguments.parameters))
    table = Table(show_header=False, box=None, pad_edge=False)
    for each in found:
        table.add_row(Text(each.name), Text(each.value, style="red" if each.fix else ""))
    Screen().print(table)
    problems = [each for each in found if each.fix]
    for each in problems:
        print(f"problem: {each.name}: {each.value}; fix: {each.fix}")
    return 1 if problems else 0


def _model(arguments: Namespace) -> Any:
    """The net, moments and description of the model that is asked for, or of this checkout's."""
    from alexnet.model.weights import load_model

    return load_model(_model_path(arguments))


def _model_path(arguments: Namespace) -> Path:
    """The model that is asked for, or this checkout's; it exists."""
    from alexnet.model.model_file import MODEL

    path: Path = arguments.model or DATA / "train" / MODEL
    if not path.exists():
        raise InputError(f"there is no model {path}", "dvc repro, or --model FILE")
    return path


def _written(folder: Path, name: str, png: bytes) -> Path:
    path = folder / f"{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "name another folder") from None
    return path
