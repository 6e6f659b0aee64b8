"""The command `alexnet`: its subcommands and exit codes.

A command imports what it needs only when it runs: `alexnet --help` imports nothing heavy.
"""

import os
import sys
from argparse import Action, ArgumentParser, RawTextHelpFormatter
from collections.abc import Sequence
from typing import Any

from alexnet.cli import compare, doctor, explain, export, inspect, predict, submit, verify
from alexnet.runtime.errors import InputError

ABOUT = """AlexNet (Krizhevsky, Sutskever and Hinton, 2012): use and inspect the results of a run.
`dvc repro` in a checkout starts a run; `predict` and `export` need only its model file."""
EXIT_CODES = """exit codes:
  0    success
  1    problem found, or invalid input
  2    usage error
  130  interrupted (Ctrl-C)
  141  broken pipe

`alexnet COMMAND --help` prints examples."""
INTERRUPTED, BROKEN_PIPE = 130, 141  # the codes of a process that the signal kills
COMMANDS = {
    "predict": predict,
    "inspect": inspect,
    "explain": explain,
    "compare": compare,
    "export": export,
    "submit": submit,
    "verify": verify,
    "doctor": doctor,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with one of EXIT_CODES."""
    args = make_parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = COMMANDS[args.command].run(args)
        sys.stdout.flush()
    except InputError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        place = f", {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{place}; fix: check disk space and permissions")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code)


def make_parser() -> ArgumentParser:
    """Return the parser of all commands."""
    parser = ArgumentParser(
        "alexnet", None, ABOUT, EXIT_CODES, formatter_class=RawTextHelpFormatter
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=command.HELP,
            description=f"{command.HELP[0].upper()}{command.HELP[1:]}.",
            epilog=f"examples:\n{command.EXAMPLES}",
            formatter_class=RawTextHelpFormatter,
        )
        command.add_arguments(subparser)
    return parser


class _Version(Action):
    """Print the version; looking it up takes longer than the help."""

    def __call__(self, parser: ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        parser.exit(message=f"alexnet {version('alexnet')}\n")
