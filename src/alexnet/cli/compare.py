"""`alexnet compare`: print this run's errors beside the paper's."""

from argparse import ArgumentParser, Namespace

from alexnet.runtime import paths

HELP = "print this run's errors beside the paper's"
EXAMPLES = """  alexnet compare
  alexnet compare --readme     # update the table in README.md and experiments/results.json"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the output format."""
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--markdown", action="store_true", help="print a Markdown table")
    readme = "update the table in README.md, and the results that the report reads"
    output.add_argument("--readme", action="store_true", help=readme)


def run(args: Namespace) -> int:
    """Print the table, or write it into the README."""
    from alexnet.comparison import results_on_disk
    from alexnet.comparison.tables import (
        build_table,
        compare_with_paper,
        format_markdown,
        write_readme,
    )

    results = results_on_disk.collect if args.readme else results_on_disk.read_results
    rows = compare_with_paper(results(paths.CHECKOUT))
    if args.readme:
        write_readme(paths.CHECKOUT / "README.md", rows)
    elif args.markdown:
        print(format_markdown(rows))
    else:
        from alexnet.cli.terminal import Screen

        Screen().print(build_table(rows))
    return 0
