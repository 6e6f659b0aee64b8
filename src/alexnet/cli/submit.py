"""`alexnet submit`: write a submission file for ILSVRC's test server."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from alexnet.runtime import paths

HELP = "write a submission file for ILSVRC's test server"
EXAMPLES = """  alexnet submit ILSVRC2012_img_test.tar submission.txt
  alexnet submit ILSVRC2012_img_test.tar five.txt --model experiments/ensembles/runs/*/train"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the images, the file to write and the models."""
    parser.add_argument("images", type=Path, metavar="TAR", help="tar or folder of test images")
    out = "file to write: one line per image, in order of their names, with five\nILSVRC class ids"
    parser.add_argument("out", type=Path, metavar="FILE", help=out)
    model = (
        "model.safetensors or its folder (default data/train of the checkout);\n"
        "the probabilities of several models are averaged"
    )
    parser.add_argument("--model", type=Path, nargs="+", metavar="FILE", help=model)


def run(args: Namespace) -> int:
    """Write the submission; 1 if an image could not be read."""
    from alexnet.cli.submission import load_ensemble, write_submission
    from alexnet.cli.terminal import printable
    from alexnet.launch.gpus import pick_device
    from alexnet.runtime.processes import prepare_process

    prepare_process()
    models = args.model or [paths.CHECKOUT / "data/train"]
    ensemble = load_ensemble(models, pick_device("auto"))
    problems = write_submission(args.out, ensemble, args.images)
    for problem in problems:
        print(f"{printable(problem)}: its line holds zeros", file=sys.stderr)
    print(f"submit: wrote {args.out}")
    return 1 if problems else 0
