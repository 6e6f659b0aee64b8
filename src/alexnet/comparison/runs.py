"""Groups of results that differ only in their seed: mean errors, differences from a baseline."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean, stdev
from typing import NamedTuple

from alexnet.comparison.paper import CENTRE, ILSVRC2010
from alexnet.comparison.results_on_disk import RecordedResult
from alexnet.evaluate.intervals import paired_interval, unpack_bits
from alexnet.evaluate.result import RUN, Result
from alexnet.runtime.errors import InputError

PLAIN_ROWS = ("CNN", "1 CNN")  # keys of runs without a row: on ILSVRC-2010, on any other data set


class Estimate(NamedTuple):
    """An error or a difference of errors, in %.

    interval: the 95 % interval of a single run. spread: the standard deviation over several seeds.
    """

    value: float
    interval: tuple[float, float] | None = None
    spread: float | None = None


Pair = tuple[Estimate, Estimate]  # top-1, top-5


class RunGroup(NamedTuple):
    """Results that differ only in their seed.

    key: of a row of the paper's tables, or the results' own. experiment: their folder, "" for
    metrics.json. rule: "" for the errors of ten views, "center_" for those of the centre view.
    commits: those that made the results, as far as they are known.
    """

    key: str
    experiment: str
    rule: str
    results: list[Result]
    commits: tuple[str, ...] = ()


def group_by_seed(recorded: Iterable[RecordedResult]) -> Iterator[RunGroup]:
    """Group results that differ only in their seed.

    Raises InputError if a run occurs twice.
    """
    groups: dict[tuple[str, ...], list[RecordedResult]] = {}
    for entry in recorded:
        result = entry.result
        run = [str(getattr(result.run, name)) for name in RUN if name != "seed"]
        group = groups.setdefault((_key(result), entry.experiment, str(result.images), *run), [])
        if result.run.seed in [member.result.run.seed for member in group]:
            raise InputError(f"{entry.path} is a second result of the same run", f"rm {entry.path}")
        group.append(entry)
    for (key, experiment, *_), group in groups.items():
        results = sorted((entry.result for entry in group), key=lambda result: result.run.seed or 0)
        commits = tuple(dict.fromkeys(entry.commit for entry in group if entry.commit))
        yield RunGroup(key, experiment, "", results, commits)
        if key in PLAIN_ROWS and all(result.has_centre for result in results):
            yield RunGroup(f"{key}{CENTRE}", experiment, "center_", results, commits)


def _key(result: Result) -> str:
    """Return a result's row; a plain run's depends on its data set."""
    return result.row or PLAIN_ROWS[result.run.dataset not in ILSVRC2010]


def mean_errors(runs: RunGroup) -> Pair:
    """Return a single run's errors with intervals, or mean and spread."""
    names = [f"{runs.rule}top{k}" for k in (1, 5)]
    if len(runs.results) > 1:
        top1, top5 = (_mean([result.error(name) for result in runs.results]) for name in names)
    else:
        (result,) = runs.results
        top1, top5 = (Estimate(result.error(name), result.interval(name)) for name in names)
    return top1, top5


def error_increases(runs: RunGroup, baselines: Sequence[RunGroup]) -> tuple[RunGroup, Pair | None]:
    """Return the increase in error over the baseline.

    The baseline is of the same experiment and images. Differences are taken seed by seed, then
    averaged: two runs of one seed see the same crops in the same order. A single seed has the
    interval of the pair if both runs keep their wrong images. Also returns the runs whose seed the
    baseline has; None if there are none.
    """
    matching = [base.results for base in baselines if _setting(base) == _setting(runs)]
    if len(matching) > 1:
        problem = f"experiments/{runs.experiment} has {len(matching)} baselines for one data set"
        raise InputError(problem, "keep the results of one baseline")
    base = {result.run.seed: result for results in matching for result in results}
    pairs = [(result, base[result.run.seed]) for result in runs.results if result.run.seed in base]
    if not pairs:
        return runs, None
    shared = runs._replace(results=[result for result, _ in pairs])
    return shared, (_increase(pairs, "top1"), _increase(pairs, "top5"))


def _setting(runs: RunGroup) -> tuple[object, ...]:
    """Return what a run and its baseline have in common."""
    result, run = runs.results[0], runs.results[0].run
    return (
        *(runs.experiment, result.images, run.dataset, run.split, run.classes),
        *(run.model, run.recipe, run.lr),
    )


def _increase(pairs: Sequence[tuple[Result, Result]], name: str) -> Estimate:
    increase = _mean([result.error(name) - base.error(name) for result, base in pairs])
    if len(pairs) > 1 or not all(result.wrong_images for result in pairs[0]):
        return increase
    wrong = [unpack_bits(result.wrong_images[name], result.images) for result in pairs[0]]
    return increase._replace(interval=paired_interval(*wrong))


def _mean(values: Sequence[float]) -> Estimate:
    return Estimate(mean(values), spread=stdev(values) if len(values) > 1 else None)


def describe(runs: RunGroup) -> str:
    """Describe images, model, recipe, seeds and origin in words."""
    result, run = runs.results[0], runs.results[0].run
    images = f"{run.dataset} {run.split}, {result.images:,} images of {run.classes:,} classes"
    if result.members:
        return f"{images}; {len(result.members)} members{_origin(runs)}"
    seeds = [str(result.run.seed) for result in runs.results]
    settings = f"model {run.model}, recipe {run.recipe} ({run.parameters}), lr {run.lr}"
    if result.first_trained_on:
        settings = f"pretrained on {result.first_trained_on}; {settings}"
    plural = "s" if len(seeds) > 1 else ""
    return f"{images}; {settings}, seed{plural} {', '.join(seeds)}{_origin(runs)}"


def _origin(runs: RunGroup) -> str:
    """Name the experiment's folder and the commits; "" for metrics.json."""
    commits = f" at {', '.join(runs.commits)}" if runs.commits else ""
    return f"; experiments/{runs.experiment}{commits}" if runs.experiment else ""
