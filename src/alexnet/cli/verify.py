"""`alexnet verify`: re-read data/ and report corruption."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from alexnet.cli.arguments import add_parameters
from alexnet.runtime import paths
from alexnet.runtime.errors import InputError

HELP = "re-read data/ and report corruption"
EXAMPLES = """  alexnet verify
  alexnet verify --md5 dataset=ilsvrc2012"""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what to verify."""
    md5 = "check the raw archives against their published MD5 instead"
    parser.add_argument("--md5", action="store_true", help=md5)
    add_parameters(parser)


def run(args: Namespace) -> int:
    """Print each problem as it is found; 1 if there is any."""
    check = _wrong_md5 if args.md5 else _damage
    count = 0
    for problem in check(args.parameters):
        print(problem, flush=True)
        count += 1
    checksums = "archives match their published MD5" if args.md5 else "files match their checksums"
    print(f"verify: {count} problem{'s' * (count != 1)}" if count else f"verify: all {checksums}")
    return 1 if count else 0


def _damage(parameters: list[str]) -> Iterator[str]:
    """Yield one line per problem under data/; print notes."""
    from alexnet.cli import dvc_lock
    from alexnet.cli.integrity import check_data
    from alexnet.config.compose import load_config
    from alexnet.config.executor import workers

    with workers(load_config(parameters).executor) as pool:
        yield from check_data(pool, paths.CHECKOUT / "data")
    for output in dvc_lock.compare_outputs(paths.CHECKOUT):
        yield from dvc_lock.report(paths.CHECKOUT, output, _print_note)


def _print_note(line: str) -> None:
    print(f"note: {line}", flush=True)


def _wrong_md5(parameters: list[str]) -> Iterator[str]:
    """Yield one line per raw archive with a wrong MD5."""
    from alexnet.archives.root import open_raw
    from alexnet.config.compose import load_config
    from alexnet.index import md5

    dataset = load_config(parameters).dataset
    if dataset.drawn:
        raise InputError("a generated data set has no published MD5", "dataset=ilsvrc2012")
    root = open_raw(dataset.root, dataset.seed, None)
    archives = list(md5.check_md5(root))
    if not archives:
        names = ", ".join(md5.PUBLISHED)
        raise InputError(f"{root} has none of the archives with a published MD5: {names}")
    for name, expected, actual in archives:
        if actual != expected:
            yield f"{name}: MD5 is {actual}, published {expected}; fix: download it again"
