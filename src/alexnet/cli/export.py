"""`alexnet export`: write a model as an ONNX or torch.export graph."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from alexnet.cli.arguments import add_model, find_model

HELP = "write a model as an ONNX or torch.export graph"
EXAMPLES = """  alexnet export --onnx alexnet.onnx
  alexnet export --pt2 alexnet.pt2 --ten-views --model model.safetensors

The graph takes any number n of float32 images (n, 3, 256, 256), RGB, 0–255, and returns class
probabilities (n, classes); it subtracts the mean image itself. Its metadata describe this and
repeat model.json: classes, net, how photos are resized to 256×256.
Before the file is kept, its probabilities are compared with the model's: they may differ by at
most 1e-5."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the files to write; at least one is required."""
    files = parser.add_argument_group("at least one of")
    onnx = 'write ONNX; requires pip install "alexnet[onnx]"'
    files.add_argument("--onnx", type=Path, metavar="FILE", help=onnx)
    pt2 = "write a file that torch.export.load reads"
    files.add_argument("--pt2", type=Path, metavar="FILE", help=pt2)
    views = "average ten views (default: the centre view)"
    parser.add_argument("--ten-views", action="store_true", help=views)
    add_model(parser)
    parser.set_defaults(usage_error=parser.error)


def run(args: Namespace) -> int:
    """Write the graphs, each compared with the model."""
    if not (args.onnx or args.pt2):
        args.usage_error("at least one of --onnx and --pt2 is required")
    import torch

    from alexnet.cli.graph_export import KINDS, check_packages, export_graph
    from alexnet.model.weights import load_model
    from alexnet.runtime.processes import prepare_process

    prepare_process()
    files = {kind: path for kind in KINDS if (path := getattr(args, kind))}
    for kind in files:
        check_packages(kind)
    net, moments, description = load_model(find_model(args.model))
    mean = torch.from_numpy(moments.mean_image)
    for kind, path in files.items():
        difference = export_graph(path, kind, net, mean, description, args.ten_views)
        size = path.stat().st_size / 1e6
        text = f"probabilities differ from the model's by at most {difference:.1g}"
        print(f"{path}: {size:,.1f} MB; {text}", flush=True)
    return 0
