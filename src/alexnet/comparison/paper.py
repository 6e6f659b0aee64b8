"""The paper's own numbers as data: Tables 1 and 2, Fall 2009, and what each choice was worth.

Krizhevsky, Sutskever, Hinton, NIPS 2012. Errors in %.
"""

from dataclasses import dataclass

ILSVRC2010, ILSVRC2012 = ("ilsvrc2010",), ("ilsvrc2012", "kaggle")  # names in conf/dataset


@dataclass(frozen=True)
class PaperRow:
    """One system. `key`: the "row" of results that stand beside it; "" where others made it.

    section: where the paper tells of it. top1, top5: None where it gives none; test_top5: on test
    images whose labels are not public. sign: ">" or "≈" where the text says "over" or "about".
    """

    key: str
    what: str
    section: str
    top1: float | None
    top5: float | None
    test_top5: float | None = None
    sign: str = ""


@dataclass(frozen=True)
class PaperTable:
    """Rows measured on the same images: what ran on one of `datasets` and `splits` is comparable.

    differences: the rows tell how much greater the error is without something.
    """

    title: str
    datasets: tuple[str, ...]
    splits: tuple[str, ...]
    classes: int
    rows: tuple[PaperRow, ...]
    differences: bool = False


CENTRE = ", centre view"  # behind a row's key: without averaging over ten views
TABLES = (
    PaperTable(
        "Table 1: ILSVRC-2010 test",
        ILSVRC2010,
        ("test",),
        1000,
        (
            PaperRow("", "Sparse coding", "Table 1", 47.1, 28.2),
            PaperRow("", "SIFT + FVs", "Table 1", 45.7, 25.7),
            PaperRow("CNN", "CNN", "Table 1", 37.5, 17.0),
            PaperRow(f"CNN{CENTRE}", f"CNN{CENTRE}", "6", 39.0, 18.3),
        ),
    ),
    PaperTable(
        "Table 2: ILSVRC-2012 validation",
        ILSVRC2012,
        ("val",),
        1000,
        (
            PaperRow("", "SIFT + FVs", "Table 2", None, None, 26.2),
            PaperRow("1 CNN", "1 CNN", "Table 2", 40.7, 18.2),
            PaperRow("5 CNNs", "5 CNNs", "Table 2", 38.1, 16.4, 16.4),
            PaperRow(
                "finetuned", "1 CNN*: six_conv, first trained on Fall 2011", "Table 2", 39.0, 16.6
            ),
            PaperRow("7 CNNs*", "7 CNNs*: two of these, and the five", "Table 2", 36.7, 15.4, 15.3),
        ),
    ),
    PaperTable(
        "Fall 2009: half of the images of 10,184 classes",
        ("fall2009",),  # no longer to be had, and Fall 2011 is another set
        ("val",),
        10_184,
        (
            PaperRow("", "Best published before", "6", 78.1, 60.9),
            PaperRow("Fall 2009", "CNN, six convolutional layers", "6", 67.4, 40.9),
        ),
    ),
    PaperTable(
        "How much greater the error is",
        (*ILSVRC2010, *ILSVRC2012),  # the text does not say on which images
        ("val", "test"),
        1000,
        (
            PaperRow("one_gpu", "on one GPU, half the maps", "3.2", 1.7, 1.2),
            PaperRow("no_lrn", "without normalisation", "3.3", 1.4, 1.2),
            PaperRow("no_overlap", "with pools that do not overlap", "3.4", 0.4, 0.3),
            PaperRow("no_colour", "without the colour shift", "4.1", 1.0, None, sign=">"),
            PaperRow("no_conv3", "without conv3", "7", 2.0, None, sign="≈"),
            PaperRow("no_conv4", "without conv4", "7", 2.0, None, sign="≈"),
            PaperRow("no_conv5", "without conv5", "7", 2.0, None, sign="≈"),
            PaperRow("no_crops", "without crops: “substantial overfitting”", "4.1", None, None),
            PaperRow("no_dropout", "without dropout: “substantial overfitting”", "4.2", None, None),
            PaperRow("no_weight_decay", "without weight decay: learns less well", "5", None, None),
            PaperRow("no_communication", "towers that never meet but in fc6", "3.2", None, None),
            PaperRow("tanh", "tanh in place of ReLU", "3.1", None, None),
        ),
        differences=True,
    ),
    PaperTable(
        "The same on CIFAR-10, 11 % with a net of four layers",
        ("cifar10",),
        ("val",),
        10,
        (PaperRow("cifar10_no_lrn", "without normalisation", "3.3", 2.0, None),),
        differences=True,
    ),
)
