"""Which class is taken for which: the confusion matrix, and the classes it goes worst with."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


class Hard(NamedTuple):
    """A class and how often it is missed: of its `images` `wrong`, `times` of them as `taken_for`.

    `label` and `taken_for` are labels; of two classes it is taken for as often, the lower.
    """

    label: int
    images: int
    wrong: int
    taken_for: int
    times: int


def confusion(labels: npt.ArrayLike, guesses: npt.ArrayLike, classes: int) -> Counts:
    """How many images of each true label (row) were given each label first (column).

    labels, guesses (n,), 0 … classes − 1 → (classes, classes) int64. ValueError for any other.
    """
    truths, firsts = np.asarray(labels, np.int64), np.asarray(guesses, np.int64)
    if truths.shape != firsts.shape:
        raise ValueError(f"{truths.shape} labels and {firsts.shape} guesses")
    for name, values in (("label", truths), ("guess", firsts)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"a {name} is not one of {classes} classes")
    counts = np.bincount(truths * classes + firsts, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def hardest(matrix: Counts) -> list[Hard]:
    """The classes that were missed at all, that of the greatest error first.

    Of equal errors the one missed more often comes first, then the lower label.
    """
    images, right = matrix.sum(axis=1), matrix.diagonal()
    wrong = images - right
    others = matrix - np.diag(right)
    error = wrong / np.maximum(images, 1)
    order = np.lexsort((np.arange(len(matrix)), -wrong, -error))
    taken_for = others.argmax(axis=1)
    columns = np.stack([np.arange(len(matrix)), images, wrong, taken_for, others.max(axis=1)])
    return [Hard(*row) for row in columns[:, order[wrong[order] > 0]].T.tolist()]


def entangled(matrix: Counts, most: int) -> list[int]:
    """At most `most` labels of those taken for one another most often, each beside its likes.

    Where there are no more classes than that, all, in their order. Otherwise pairs are gone
    through by the number of images mistaken either way; each brings in what it has of new classes.
    Without any mistake the first are as good as others.
    """
    if len(matrix) <= most:
        return list(range(len(matrix)))
    both = np.triu(matrix + matrix.T, 1)
    pairs = np.argwhere(both)
    chosen: list[int] = []
    for pair in pairs[np.argsort(-both[tuple(pairs.T)], kind="stable")].tolist():
        new = [label for label in pair if label not in chosen]
        if len(chosen) + len(new) > most:
            break
        known = [label for label in pair if label in chosen]
        at = chosen.index(known[0]) + 1 if known else len(chosen)
        chosen[at:at] = new
    return chosen or list(range(most))
