"""The command `alexnet`: its words, and how it ends.

The library is imported by the command that needs it: `alexnet --help` takes no time.
"""

import os
import sys
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace, RawTextHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alexnet.runtime.errors import InputError

ABOUT = """AlexNet (Krizhevsky, Sutskever and Hinton, 2012): uses what a run made, and looks at it.
`dvc repro` in a checkout makes a run; `predict` and `export` need its model's file alone."""
ENDS = """exit codes:
  0    all is well
  1    a problem was found, or the input was bad: a line on stderr or stdout says which
  2    the line itself was wrong
  130  stopped by Ctrl-C
  141  whoever read the output has gone

`alexnet COMMAND --help` has examples."""
PIPE_GONE, INTERRUPTED = 141, 130  # as of a process that the signal ends


def main(line: Sequence[str] | None = None) -> None:
    """Run the command that the line names, and exit with one of the codes of ENDS."""
    parser = _parser()
    arguments = parser.parse_args(line)
    if arguments.command == "export" and not (arguments.onnx or arguments.pt2):
        parser.error("export: name a file, with --onnx or --pt2")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        sys.exit(PIPE_GONE)
    except OSError as error:
        where = f", {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}; fix: see to the disk and its rights")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code)


def _run(arguments: Namespace) -> int:
    if getattr(arguments, "repair", False):  # before each `make repro`: without slow imports
        from alexnet.cli import dvc_repair

        return dvc_repair.main()
    from alexnet.cli import commands

    code: int = getattr(commands, arguments.command)(arguments)
    return code


def _parser() -> ArgumentParser:
    parser = ArgumentParser("alexnet", None, ABOUT, ENDS, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def command(name: str, about: str, examples: str) -> ArgumentParser:
        return commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=f"examples:\n{examples}",
            formatter_class=RawTextHelpFormatter,
        )

    _predict(command("predict", "say what photos show, by a model's file alone", PREDICT))
    _inspect(command("inspect", "print and draw what a stage made", INSPECT))
    _explain(command("explain", "tell what a metric rests on, back to the archives", EXPLAIN))
    _compare(command("compare", "print this run's errors beside the paper's", COMPARE))
    _export(command("export", "write a model for ONNX or torch.export, compared", EXPORT))
    _submit(command("submit", "write the file that ILSVRC's test server takes", SUBMIT))
    _verify(
        command("verify", "read everything under data/ again, and name what is damaged", VERIFY)
    )
    _doctor(command("doctor", "say what is there, what a run would take, what to fix", DOCTOR))
    return parser


PREDICT = """  alexnet predict rex.jpg
  alexnet predict holiday/ --json --top 1 > answers.jsonl
  find . -name '*.png' | alexnet predict - --model model.safetensors"""


def _predict(parser: ArgumentParser) -> None:
    photos = "files, or folders with all that is in them; -: their names on stdin, a line each"
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help=photos)
    _add_model(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each photo")
    parser.add_argument("--top", type=_count, default=5, metavar="K", help="so many labels (5)")
    view = "by the centre view alone, not the mean of ten views: a tenth of the time"
    parser.add_argument("--center", action="store_true", help=view)
    batch = "photos at a time (32): for memory and speed, the answers are the same"
    parser.add_argument("--batch", type=_count, default=32, metavar="N", help=batch)
    stored = (
        "ignore EXIF orientation, as evaluation on ILSVRC does; else a photo is\n"
        "turned upright, as it is looked at, whatever the model was trained on"
    )
    parser.add_argument("--as-stored", action="store_true", help=stored)


INSPECT = """  alexnet inspect shards
  alexnet inspect model --pictures /tmp/pictures
  alexnet inspect model --model model.safetensors"""


def _inspect(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=["index", "shards", "moments", "model"])
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw them there, too")
    _add_model(parser)


EXPLAIN = """  alexnet explain top1_error
  alexnet explain center_top5_error --json"""


def _explain(parser: ArgumentParser) -> None:
    parser.add_argument("metric", metavar="METRIC", help="a name in metrics.json")
    parser.add_argument("--json", action="store_true", help="the whole chain, nothing left out")


COMPARE = """  alexnet compare
  alexnet compare --readme     # the README's table anew, and experiments/results.json"""


def _compare(parser: ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--markdown", action="store_true", help="as a table of Markdown")
    how.add_argument(
        "--readme",
        action="store_true",
        help="write it into README.md, and the results where\nthe report finds them",
    )


EXPORT = """  alexnet export --onnx alexnet.onnx
  alexnet export --pt2 alexnet.pt2 --ten-views --model model.safetensors

The exported model takes float32 images (n, 3, 256, 256), RGB, 0–255, of any number n, and gives
class probabilities (n, classes); it subtracts the mean image itself. Its metadata says so, and
what else the model's file tells: classes, net, how photos became 256×256.
It is run and compared with the original first: no probability may differ by more than 1e-5."""


def _export(parser: ArgumentParser) -> None:
    which = parser.add_argument_group("at least one of")
    which.add_argument(
        "--onnx", type=Path, metavar="FILE", help='needs pip install "alexnet[onnx]"'
    )
    which.add_argument("--pt2", type=Path, metavar="FILE", help="what torch.export.load reads")
    ten = "the mean of ten views; else the centre view"
    parser.add_argument("--ten-views", action="store_true", help=ten)
    _add_model(parser)


SUBMIT = """  alexnet submit ILSVRC2012_img_test.tar submission.txt
  alexnet submit ILSVRC2012_img_test.tar five.txt --model experiments/ensembles/runs/*/train"""


def _submit(parser: ArgumentParser) -> None:
    parser.add_argument("images", type=Path, metavar="TAR", help="or a folder: images, unlabelled")
    out = "the file to write: a line an image, in order of the names, five ILSVRC ids each"
    parser.add_argument("out", type=Path, metavar="FILE", help=out)
    several = (
        "model.safetensors, or its folder; of several the mean; else the checkout's data/train"
    )
    parser.add_argument("--model", type=Path, nargs="+", metavar="FILE", help=several)


VERIFY = """  alexnet verify
  alexnet verify --md5 dataset=ilsvrc2012"""


def _verify(parser: ArgumentParser) -> None:
    parser.add_argument("--md5", action="store_true", help="of the raw archives, instead")
    _add_parameters(parser)


DOCTOR = """  alexnet doctor
  alexnet doctor --repair && dvc repro     # after dvc repro itself was killed
  IMAGENET_ROOT=/archives alexnet doctor dataset=ilsvrc2012 recipe=paper model=paper"""


def _doctor(parser: ArgumentParser) -> None:
    repair = "repair files that a killed dvc repro left half-written, and do nothing else"
    parser.add_argument("--repair", action="store_true", help=repair)
    _add_parameters(parser)


def _add_model(parser: ArgumentParser) -> None:
    told = "a model.safetensors, or its folder; else the checkout's data/train"
    parser.add_argument("--model", type=Path, metavar="FILE", help=told)


def _add_parameters(parser: ArgumentParser) -> None:
    told = "changes a parameter, as for a stage: dataset=folder"
    parser.add_argument("parameters", nargs="*", metavar="key=value", help=told)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is no number above 0")
    return int(text)


class _Version(Action):
    """Asked for only where it is wanted: the look-up takes longer than the help."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        parser.exit(message=f"alexnet {version('alexnet')}\n")
