"""`alexnet explain`: trace a metric back to the raw archives."""

from argparse import ArgumentParser, Namespace

from alexnet.runtime import paths

HELP = "trace a metric back to the raw archives"
EXAMPLES = """  alexnet explain top1_error
  alexnet explain center_top5_error --json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the metric and the output format."""
    parser.add_argument("metric", metavar="METRIC", help="name of a metric in metrics.json")
    parser.add_argument("--json", action="store_true", help="print the whole chain as JSON")


def run(args: Namespace) -> int:
    """Print what a metric was computed from; 1 if that has changed."""
    from alexnet.cli.provenance import as_json, as_tree, summary
    from alexnet.cli.raw_data import find_configured
    from alexnet.cli.terminal import Screen
    from alexnet.cli.trace import trace_metric

    link = trace_metric(paths.CHECKOUT, args.metric, find_configured())
    if args.json:
        print(as_json(link))
    else:
        Screen().print(as_tree(link))
        print(f"explain: {summary(link)}")
    return 0 if link.unchanged else 1
