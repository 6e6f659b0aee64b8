"""`alexnet doctor`: check data, hardware and configuration before a run."""

from argparse import ArgumentParser, Namespace

from alexnet.cli.arguments import add_parameters
from alexnet.runtime import paths

HELP = "check data, hardware and configuration before a run"
EXAMPLES = """  alexnet doctor
  alexnet doctor --repair && dvc repro     # after dvc repro itself was killed
  IMAGENET_ROOT=/archives alexnet doctor dataset=ilsvrc2012 recipe=paper model=paper"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add --repair and the parameters of the run to check."""
    repair = "only repair files that a killed dvc repro left half-written"
    parser.add_argument("--repair", action="store_true", help=repair)
    add_parameters(parser)


def run(args: Namespace) -> int:
    """Print all findings, then the problems among them; 1 if there are any."""
    if args.repair:  # `make repro` runs this each time: no slow imports
        from alexnet.cli import dvc_repair

        return dvc_repair.main()
    from rich.table import Table
    from rich.text import Text

    from alexnet.cli.diagnosis import diagnose
    from alexnet.cli.terminal import Screen

    findings = list(diagnose(paths.CHECKOUT, args.parameters))
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        table.add_row(Text(finding.name), Text(finding.value, style="red" if finding.fix else ""))
    Screen().print(table)
    problems = [finding for finding in findings if finding.fix]
    for problem in problems:
        print(f"problem: {problem.name}: {problem.value}; fix: {problem.fix}")
    return 1 if problems else 0
