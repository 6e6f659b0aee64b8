"""`alexnet predict`: classify photos with a model file."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from alexnet.cli.arguments import add_model, find_model, positive_int
from alexnet.runtime.errors import InputError

HELP = "classify photos with a model file"
EXAMPLES = """  alexnet predict rex.jpg
  alexnet predict holiday/ --json --top 1 > answers.jsonl
  find . -name '*.png' | alexnet predict - --model model.safetensors"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the photos and how to classify and print them."""
    photos = "files, or folders to search for files; -: read names from stdin,\none per line"
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help=photos)
    add_model(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON per photo")
    top = "number of labels (default 5)"
    parser.add_argument("--top", type=positive_int, default=5, metavar="K", help=top)
    center = "use only the centre view, not the mean of ten views: ten times faster"
    parser.add_argument("--center", action="store_true", help=center)
    batch = "photos per batch (default 32): affects memory and speed, not the answers"
    parser.add_argument("--batch", type=positive_int, default=32, metavar="N", help=batch)
    stored = (
        "ignore EXIF orientation, as evaluation on ILSVRC does (default: turn\n"
        "photos upright, whatever the model was trained on)"
    )
    parser.add_argument("--as-stored", action="store_true", help=stored)


def run(args: Namespace) -> int:
    """Print each photo's most probable labels; 1 if any was unreadable."""

    from alexnet.cli.answers import as_json, as_table, heading
    from alexnet.cli.photos import ResizeRule, UnreadablePhoto, classify, find_photos
    from alexnet.cli.terminal import Screen, bar_if_slow, printable
    from alexnet.launch.gpus import pick_device
    from alexnet.model.precision import pick_autocast
    from alexnet.model.weights import load_model
    from alexnet.runtime.processes import prepare_process

    prepare_process()
    net, moments, description = load_model(find_model(args.model))
    device = pick_device("auto")
    mean = moments.to(device).mean_image
    photos = list(find_photos(map(Path, _photo_names(args.photos))))
    rule = ResizeRule(description.input.resample, not args.as_stored)
    options = rule, args.batch, args.top, args.center
    screen, unreadable = Screen(), 0
    with (
        pick_autocast(description.precision, device),
        bar_if_slow(len(photos), "predict") as advance,
    ):
        for answer in classify(net.to(device), mean, photos, *options):
            if isinstance(answer, UnreadablePhoto):
                unreadable += 1
                print(f"{printable(str(answer.photo))}: {answer.reason}", file=sys.stderr)
            elif args.json:
                print(as_json(answer, description.synsets))
            else:
                screen.print(heading(answer), soft_wrap=True)
                screen.print(as_table(answer, description.synsets))
            advance(1)
    return 1 if unreadable else 0


def _photo_names(photos: list[str]) -> list[str]:
    """Return the names on the command line, or those on stdin.

    A name on stdin is a whole line of any bytes.
    """
    if photos != ["-"]:
        return photos
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # a file name need not be UTF-8
    names = [name for name in sys.stdin.read().split("\n") if name]
    if not names:
        raise InputError("no photo names on stdin", "alexnet predict PHOTO")
    return names
