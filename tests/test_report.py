"""The page is parsed as a browser would and searched for what it must, and must not, hold."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet import pictures
from alexnet.figures import Guess
from alexnet.report import Prediction, Report, Sample, render, write_report
from alexnet.results import wilson

HOSTILE = """<script>alert("1")</script> & 'x' <img src=http://a.b/c> {{ 7 * 7 }}"""
VOID = {"img", "meta", "source", "br", "hr", "link", "input"}


def noise(seed: int, *shape: int) -> pictures.Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def predictions(words: str) -> list[Prediction]:
    guesses = [
        Guess(f"{words} {n}", (0.512, 0.203, 0.091, 0.0449, 0.02)[n], n == 1) for n in range(5)
    ]
    return [Prediction(noise(n, 256, 256, 3), f"{words} true {n}", guesses) for n in range(8)]


def samples(words: str) -> list[Sample]:
    return [
        Sample(noise(n, 256, 256, 3), f"n0{n}", f"{words}, w{n}", f"{n}.JPEG") for n in range(12)
    ]


def history() -> list[dict[str, float]]:
    keys = ("epoch", "step", "lr", "train_loss", "val_loss", "top1_error", "top5_error")
    rows = [(1, 38, 0.01, 3.1234, 3.2346, 0.912, 0.5), (2, 76, 0.001, 2.5, 2.6789, 0.6543, 0.321)]
    return [dict(zip(keys, row, strict=True)) for row in rows]


REPORT = Report(
    dataset="miniature",
    classes=12,
    train_images=1203,
    images=304,
    model="two_towers",
    recipe="brisk",
    seed=17,
    lr=0.0125,
    top1_error=0.2369,
    top5_error=0.0428,
    center_top1_error=0.2796,
    center_top5_error=0.0559,
    stages=[
        ("index", [("data/index", "3f9a1c2e")]),
        ("resize", [("data/shards", "a81b77d0")]),
        ("moments", [("data/moments", "5c0e9f41")]),
        ("train", [("data/train", "d2247b6a")]),
        ("evaluate", [("data/evaluate", "0b91e3f7"), ("metrics.json", "77c2a4d9")]),
    ],
    mean_image=np.random.default_rng(0).uniform(0, 255, (256, 256, 3)).astype(np.float32),
    channel_means=np.array([131.24, 118.41, 109.93]),
    eigenvalues=np.array([11864.0, 1101.0, 311.0]),
    eigenvectors=np.array([[0.561, 0.577, 0.594], [0.712, 0.025, -0.702], [0.42, -0.816, 0.396]]),
    photo=noise(5, 256, 256, 3),
    history=history(),
    conv1=np.random.default_rng(1).normal(size=(24, 3, 11, 11)),
    towers=2,
    predictions=predictions("crane"),
    samples=samples("heron"),
    odd_files=[{"name": "n01_7.JPEG", "what": "mode CMYK, converted to RGB", "done": "kept"}],
)


@dataclass
class Page(HTMLParser):
    """What a browser would see: text, table rows, pictures, elements; fails on a wrong end tag."""

    html: str
    text: str = ""
    style: str = ""
    rows: list[list[str]] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
            return
        self.text += data
        if "tr" in self.open and {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return render(REPORT)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_element_is_closed_and_headings_step_down(page: Page) -> None:
    assert page.open == []
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings == ["h1"] + ["h2"] * (len(headings) - 1)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = [attributes["aria-labelledby"] for attributes in page.named("section")]
    assert labels == ids


def test_the_page_asks_for_nothing_outside_itself(html: str, page: Page) -> None:
    bare = re.sub(r'data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+(?=")', "", html)
    assert not re.search(r"https?:|//|url\(|@import|@font-face", bare)
    names = {name for name, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "a", "base", "form"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    (policy,) = (a["content"] for a in page.named("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_every_picture_is_inside_the_page_and_told_in_words(page: Page) -> None:
    images = page.named("img")
    assert len(images) == 4 + 1 + 8 + 12
    assert all(attributes["alt"] for attributes in images)
    for uri in [a["src"] for a in images] + [a["srcset"] for a in page.named("source")]:
        kind, picture = decoded(uri)
        assert picture.format == kind.upper()


def test_the_pictures_are_those_of_this_report(page: Page) -> None:
    sources = {attributes["alt"]: attributes["src"] for attributes in page.named("img")}
    _, mean = decoded(sources["The mean of all training images"])
    assert np.array_equal(np.asarray(mean), np.rint(REPORT.mean_image))
    (kernels,) = (uri for alt, uri in sources.items() if "24 kernels" in alt)
    drawn = pictures.kernels_picture(REPORT.conv1)
    assert np.array_equal(np.asarray(decoded(kernels)[1]), np.asarray(drawn))
    dark = [decoded(attributes["srcset"])[1] for attributes in page.named("source")]
    paper = np.array(list(bytes.fromhex(pictures.DARK.paper[1:])))
    assert len(dark) == 4
    for picture in dark:
        corner = np.asarray(picture.convert("RGB"))[0, -1]
        assert np.abs(corner - paper).max() <= 2, "JPEG may be a level or two off, not a page"


def test_the_results_stand_beside_the_papers(page: Page) -> None:
    low, high = (100 * bound for bound in wilson(0.2369, 304))
    assert ["Ten viewsminiature", f"23.7{low:.1f}–{high:.1f}", "4.32.5–7.2"] in page.rows
    assert ["Centre viewminiature", "28.023.2–33.3", "5.63.5–8.8"] in page.rows
    assert ["1 CNNILSVRC-2012 val, ten views", "40.7", "18.2"] in page.rows
    assert ["CNNILSVRC-2010 test, ten views", "37.5", "17.0"] in page.rows
    assert ["CNN, centre view onlyILSVRC-2010 test", "39.0", "18.3"] in page.rows
    assert "those of a run on any other data set cannot be compared with them" in page.text


def test_colours_stand_beside_imagenets_in_their_own_rows(page: Page) -> None:
    assert ["Red", "131.2", "127.3"] in page.rows
    assert ["Green", "118.4", "119.7"] in page.rows
    assert ["Blue", "109.9", "104.9"] in page.rows
    at = page.rows.index(["Axis 2"])
    assert page.rows[at + 1] == ["This run", "1,101", "33.18", "0.712", "0.025", "−0.702"]
    assert page.rows[at + 2] == ["ImageNet", "1,376", "37.09", "0.713", "0.024", "−0.701"]
    assert ["This run", "11,864", "108.92", "0.561", "0.577", "0.594"] in page.rows
    assert ["ImageNet", "389", "19.72", "0.418", "−0.817", "0.397"] in page.rows


def test_what_was_run_is_told(page: Page) -> None:
    words = ["1,203 images of 12 classes", "304", "two_towers", "brisk", "17", "0.0125"]
    words += ["make repro", "dvc repro", "dvc exp run -S lr=0.01", "n01_7.JPEG", "mode CMYK"]
    for prediction in REPORT.predictions:
        words += [prediction.truth, *(guess.words for guess in prediction.guesses)]
    words += ["51.2", "20.3", "9.1", "4.5", "2.0"]
    for sample in REPORT.samples:
        words += [sample.wnid, sample.words, sample.source]
    assert [word for word in words if word not in page.text] == []
    assert ["1", "0.01", "3.123", "3.235", "91.2", "50.0"] in page.rows
    assert ["2", "0.001", "2.500", "2.679", "65.4", "32.1"] in page.rows


def test_the_stages_stand_in_their_order_with_their_hashes(page: Page) -> None:
    section = page.text[page.text.index("From archives") : page.text.index("Mean and colour")]
    found = re.findall(r"index\b|resize|shards|[0-9a-f]{8}|moments|train|evaluate|report", section)
    wanted = ["index", "index", "3f9a1c2e", "resize", "shards", "a81b77d0", "moments", "moments"]
    wanted += ["5c0e9f41", "train", "train", "d2247b6a", "evaluate", "evaluate", "0b91e3f7"]
    assert found == [*wanted, "77c2a4d9", "report"]


def test_the_true_label_alone_is_marked(page: Page) -> None:
    assert len([a for a in page.named("li") if a.get("class") == "right"]) == 8
    assert page.text.count("✓ crane 1") == page.text.count("✓") == 8
    bars = [attributes["style"] for attributes in page.named("li") if "style" in attributes]
    assert bars == ["--p: 51.2%", "--p: 20.3%", "--p: 9.1%", "--p: 4.5%", "--p: 2.0%"] * 8


def test_hostile_words_stay_words() -> None:
    hostile = replace(
        REPORT,
        dataset=HOSTILE,
        model=HOSTILE,
        stages=[("train", [(HOSTILE, HOSTILE)])],
        predictions=predictions(HOSTILE)[:1],
        samples=[Sample(noise(0, 256, 256, 3), HOSTILE, HOSTILE, HOSTILE)],
        odd_files=[dict.fromkeys(("name", "what", "done"), HOSTILE)],
    )
    page = Page(render(hostile))
    assert page.open == []
    assert page.named("script") == []
    assert all(attributes["src"].startswith("data:") for attributes in page.named("img"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) >= 15


def test_a_page_without_odd_files_or_drops_says_so() -> None:
    plain = replace(REPORT, odd_files=[], history=history()[:1], towers=1, model="one_gpu")
    text = Page(render(plain)).text
    assert "None: every file was the JPEG that its name says." in text
    assert "dotted" not in text
    assert "tower" not in text


def test_two_renders_are_the_same_bytes_and_small(html: str) -> None:
    assert render(REPORT) == html
    assert len(html.encode()) < 3_000_000, "pictures of noise: no data set's compress worse"


def test_write_report_leaves_the_page_and_its_figures(tmp_path: Path, html: str) -> None:
    folder = tmp_path / "a" / "report"
    write_report(folder, REPORT)
    names = ["curves", "eigenpairs", "kernels", "predictions", "relit"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["index.html", *(f"{name}.png" for name in names)]
    )
    assert (folder / "index.html").read_text(encoding="utf-8") == html
    for name in names:
        assert Image.open(folder / f"{name}.png").format == "PNG"


def decoded(uri: str) -> tuple[str, Image.Image]:
    head, body = uri.split(";base64,")
    assert head.startswith("data:image/")
    return head.removeprefix("data:image/"), Image.open(
        io.BytesIO(base64.b64decode(body, validate=True))
    )
