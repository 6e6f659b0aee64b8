"""The paper's numbers as data: Tables 1 and 2, Fall 2009, and the effect of each design choice.

Krizhevsky, Sutskever, Hinton, NIPS 2012. Errors in %.
"""

from dataclasses import dataclass

ILSVRC2010, ILSVRC2012 = ("ilsvrc2010",), ("ilsvrc2012", "kaggle")  # names in conf/dataset


@dataclass(frozen=True)
class PaperRow:
    """The error of one system.

    key: the "row" of the results compared with it, "" for the work of others. section: where the
    paper states it. top1, top5: None if the paper gives no number; test_top5: on test images whose
    labels are not public. sign: ">" or "≈" where the text says "over" or "about".
    """

    key: str
    system: str
    section: str
    top1: float | None
    top5: float | None
    test_top5: float | None = None
    sign: str = ""


@dataclass(frozen=True)
class PaperTable:
    """Rows measured on the same images.

    A run on one of `datasets` and `splits` with as many classes is comparable. differences: the
    rows are increases in error over a baseline.
    """

    title: str
    datasets: tuple[str, ...]
    splits: tuple[str, ...]
    classes: int
    rows: tuple[PaperRow, ...]
    differences: bool = False


CENTRE = ", centre view"  # suffix of a row's key: no average over ten views
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
                "finetuned", "1 CNN*: six_conv, pretrained on Fall 2011", "Table 2", 39.0, 16.6
            ),
            PaperRow(
                "7 CNNs*", "7 CNNs*: two pretrained ones and the five", "Table 2", 36.7, 15.4, 15.3
            ),
        ),
    ),
    PaperTable(
        "Fall 2009: half of the images, 10,184 classes",
        ("fall2009",),  # no longer available; Fall 2011 is another set
        ("val",),
        10_184,
        (
            PaperRow("", "Best published before the paper", "6", 78.1, 60.9),
            PaperRow("Fall 2009", "CNN, six convolutional layers", "6", 67.4, 40.9),
        ),
    ),
    PaperTable(
        "Increase in error",
        (*ILSVRC2010, *ILSVRC2012),  # the text does not say on which images
        ("val", "test"),
        1000,
        (
            PaperRow("one_gpu", "one GPU, half of the feature maps", "3.2", 1.7, 1.2),
            PaperRow("no_lrn", "without normalisation", "3.3", 1.4, 1.2),
            PaperRow("no_overlap", "non-overlapping pooling", "3.4", 0.4, 0.3),
            PaperRow("no_colour", "without colour augmentation", "4.1", 1.0, None, sign=">"),
            PaperRow("no_conv3", "without conv3", "7", 2.0, None, sign="≈"),
            PaperRow("no_conv4", "without conv4", "7", 2.0, None, sign="≈"),
            PaperRow("no_conv5", "without conv5", "7", 2.0, None, sign="≈"),
            PaperRow(
                "no_crops", "without random crops: “substantial overfitting”", "4.1", None, None
            ),
            PaperRow("no_dropout", "without dropout: “substantial overfitting”", "4.2", None, None),
            PaperRow(
                "no_weight_decay", "without weight decay: higher training error", "5", None, None
            ),
            PaperRow("no_communication", "towers connected only at fc6", "3.2", None, None),
            PaperRow("tanh", "tanh instead of ReLU", "3.1", None, None),
        ),
        differences=True,
    ),
    PaperTable(
        "CIFAR-10: increase in error, from 11 % with a four-layer net",
        ("cifar10",),
        ("val",),
        10,
        (PaperRow("cifar10_no_lrn", "without normalisation", "3.3", 2.0, None),),
        differences=True,
    ),
)
