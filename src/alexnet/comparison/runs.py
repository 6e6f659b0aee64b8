"""Results on disk that are one run but for the seed: together, averaged, beside their baseline."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

from alexnet.comparison.paper import CENTRE, ILSVRC2010
from alexnet.comparison.results_on_disk import Recorded
from alexnet.evaluate.intervals import difference_interval, unpacked
from alexnet.evaluate.result import RUN, Result, interval
from alexnet.runtime.errors import InputError

WHOLE = ("CNN", "1 CNN")  # rows of plain runs, on ILSVRC-2010 and on any other set


class Figure(NamedTuple):
    """An error or a difference of errors, in %.

    interval: its 95 % bounds, where one run's images were counted. spread: its standard deviation
    over several seeds.
    """

    value: float
    interval: tuple[float, float] | None = None
    spread: float | None = None


Pair = tuple[Figure, Figure]  # top-1, top-5


class Runs(NamedTuple):
    """Results that differ in their seed alone, and their key among the paper's rows.

    experiment: their folder, "" of metrics.json. rule: "" or "center_", whose errors are meant.
    commits: at which they were made, as far as that is known.
    """

    key: str
    experiment: str
    rule: str
    results: list[Result]
    commits: tuple[str, ...] = ()


def together(recorded: Iterable[Recorded]) -> Iterator[Runs]:
    """The results, those that differ in their seed alone as one.

    Raises InputError where a run is there twice.
    """
    groups: dict[tuple[str, ...], list[Recorded]] = {}
    for each in recorded:
        run = [str(each.result["run"][name]) for name in RUN if name != "seed"]
        place = _key(each.result), each.experiment, str(each.result["images"]), *run
        same = groups.setdefault(place, [])
        if _seed(each) in map(_seed, same):
            raise InputError(f"{each.path} is of the same run as another", f"rm {each.path}")
        same.append(each)
    for (key, experiment, *_), same in groups.items():
        results = [each.result for each in sorted(same, key=lambda each: _seed(each) or 0)]
        commits = tuple(dict.fromkeys(each.commit for each in same if each.commit))
        yield Runs(key, experiment, "", results, commits)
        if key in WHOLE and all("center_top1_error" in result for result in results):
            yield Runs(f"{key}{CENTRE}", experiment, "center_", results, commits)


def _seed(recorded: Recorded) -> Any:
    return recorded.result["run"]["seed"]


def _key(result: Result) -> str:
    """Of a plain run the table of its data set tells which row it is."""
    here = result["run"]["dataset"] in ILSVRC2010
    return str(result.get("row", WHOLE[0] if here else WHOLE[1]))


def errors(runs: Runs) -> Pair:
    """Of one run with its interval, of several their mean and its spread."""
    first, many = runs.results[0], len(runs.results) > 1
    figures = []
    for name in (f"{runs.rule}top{k}" for k in (1, 5)):
        values = [result[f"{name}_error"] for result in runs.results]
        figures.append(_averaged(values) if many else Figure(values[0], interval(first, name)))
    return figures[0], figures[1]


def differences(runs: Runs, baselines: Sequence[Runs]) -> tuple[Runs, Pair | None]:
    """How much greater the errors are than the baseline's of the same experiment and images.

    Seed by seed, then averaged: two runs of one seed see the same crops in the same order. Of one
    seed with the interval of the pair, where both tell which images are wrong. Returns with them
    the runs whose seed the baseline has; None where there is none.
    """
    with_it = [b.results for b in baselines if _alike(b) == _alike(runs)]
    if len(with_it) > 1:
        what = f"experiments/{runs.experiment} has {len(with_it)} baselines of one data set"
        raise InputError(what, "leave the results of one")
    base = {result["run"]["seed"]: result for results in with_it for result in results}
    own = [result for result in runs.results if result["run"]["seed"] in base]
    if not own:
        return runs, None
    pairs = [(result, base[result["run"]["seed"]]) for result in own]
    return runs._replace(results=own), (_difference(pairs, "top1"), _difference(pairs, "top5"))


def _alike(runs: Runs) -> tuple[object, ...]:
    """What a run and its baseline have in common: images, and what they were made of."""
    result = runs.results[0]
    run = [result["run"][name] for name in ("dataset", "split", "classes", "model", "recipe", "lr")]
    return runs.experiment, result["images"], *run


def _difference(pairs: Sequence[tuple[Result, Result]], name: str) -> Figure:
    averaged = _averaged([one[f"{name}_error"] - base[f"{name}_error"] for one, base in pairs])
    one, base = pairs[0]
    if len(pairs) > 1 or not ("wrong_images" in one and "wrong_images" in base):
        return averaged
    wrong = (unpacked(each["wrong_images"][name], each["images"]) for each in (one, base))
    return averaged._replace(interval=difference_interval(*wrong))


def _averaged(values: Sequence[float]) -> Figure:
    return Figure(mean(values), spread=stdev(values) if len(values) > 1 else None)


def words(runs: Runs) -> str:
    """Images and runs in words."""
    result, run = runs.results[0], runs.results[0]["run"]
    images = f"{run['dataset']} {run['split']}, {result['images']:,} images"
    images += f" of {run['classes']:,} classes"
    if "members" in result:
        return f"{images}; {len(result['members'])} members{_made_by(runs)}"
    seeds = [str(each["run"]["seed"]) for each in runs.results]
    which = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
    first = (
        f"first trained on {result['first_trained_on']}; " if "first_trained_on" in result else ""
    )
    how = (
        f"{first}model {run['model']}, recipe {run['recipe']} ({run['parameters']}), lr {run['lr']}"
    )
    return f"{images}; {how}, {which}{_made_by(runs)}"


def _made_by(runs: Runs) -> str:
    """Of an experiment the folder, that its command names, and the commit."""
    at = f" at {', '.join(runs.commits)}" if runs.commits else ""
    return f"; experiments/{runs.experiment}{at}" if runs.experiment else ""
