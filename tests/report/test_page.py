"""The page is parsed as by a browser and checked for what it must and must not contain."""

import base64
import hashlib
import io
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.comparison.tables import ComparisonRow
from alexnet.evaluate.intervals import wilson_interval
from alexnet.figures.kernels import draw_kernels
from alexnet.figures.style import DARK
from alexnet.report.dag_diagram import Stage
from alexnet.report.page import render, write_report
from alexnet.report.samples import OddFile
from small_report import (
    REPORT,
    RESULT,
    class_samples,
    history,
    largest,
    noise,
    predictions,
    queries,
)

HOSTILE = """<script>alert("1")</script> & 'x' <img src=http://a.b/c> {{ 7 * 7 }}"""
VOID = {"img", "meta", "source", "br", "hr", "link", "input"}


@dataclass
class Page(HTMLParser):
    """Text, table rows and elements as a browser sees them; fails on a wrong end tag."""

    html: str
    text: str = ""
    style: str = ""
    script: str = ""
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

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
            return
        if self.open and self.open[-1] == "script":
            self.script += data
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


def test_elements_are_closed_and_the_contents_list_every_section(page: Page) -> None:
    assert page.open == []
    headings = [tag for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[:2] == ["h1", "h2"]
    assert set(headings[2:]) == {"h2", "h3"}
    ids = [attributes["id"] for attributes in page.named("h2")]
    assert len(ids) == len(set(ids))
    assert [attributes["aria-labelledby"] for attributes in page.named("section")] == ids
    assert [attributes["href"] for attributes in page.named("a")] == [f"#{id}" for id in ids]


def test_the_page_makes_no_requests(html: str, page: Page) -> None:
    bare = re.sub(r'data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+(?=")', "", html)
    assert not re.search(r"https?:|//|url\(|@import|@font-face|fetch|import\(", bare)
    names = {name for name, _ in page.tags}
    assert not names & {"iframe", "object", "embed", "base", "form"}
    assert [attributes["href"] for attributes in page.named("link")] == ["data:,"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_only_the_pages_own_script_may_run(page: Page) -> None:
    assert page.named("script") == [{}]
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    (policy,) = (a["content"] for a in page.named("meta") if "http-equiv" in a)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }


def test_every_image_is_inline_and_has_alternative_text(page: Page) -> None:
    images = page.named("img")
    figures, records, odd, near = 7, 6 * 2, 1, 3 * (1 + 6 + 6)
    assert len(images) == 1 + figures + 8 + 3 + records + odd + near
    assert all(attributes["alt"] for attributes in images)
    for uri in [a["src"] for a in images] + [a["srcset"] for a in page.named("source")]:
        kind, picture = decoded(uri)
        assert picture.format == kind.upper()


def test_the_images_are_those_of_the_report(page: Page) -> None:
    sources = {attributes["alt"]: attributes["src"] for attributes in page.named("img")}
    _, mean = decoded(sources["Mean of all training images"])
    assert np.array_equal(np.asarray(mean), np.rint(REPORT.mean_image))
    (kernels,) = (uri for alt, uri in sources.items() if "24 kernels" in alt)
    drawn = draw_kernels(REPORT.conv1)
    assert np.array_equal(np.asarray(decoded(kernels)[1]), np.asarray(drawn))
    dark = [decoded(attributes["srcset"])[1] for attributes in page.named("source")]
    paper = np.array(list(bytes.fromhex(DARK.paper[1:])))
    assert len(dark) == 7
    for picture in dark:
        corner = np.asarray(picture.convert("RGB"))[0, -1]
        assert np.abs(corner - paper).max() <= 2, "JPEG may change a colour by two levels"


def test_errors_have_intervals_and_a_row_for_random_guessing(page: Page) -> None:
    low, high = (100 * bound for bound in wilson_interval(72 / 304, 304))
    images = "miniature val, 304 images"
    assert [f"Ten views{images}", f"23.7{low:.1f}–{high:.1f}", "4.32.5–7.2"] in page.rows
    assert [f"Centre view{images}", "28.023.2–33.3", "5.63.5–8.8"] in page.rows
    assert ["Random guessing12 classes", "91.7", "58.3"] in page.rows
    assert "on a drawn miniature, are not comparable with them" in page.text


def test_the_papers_tables_have_a_column_for_this_project(page: Page) -> None:
    assert ["SIFT + FVs", "45.7 / 25.7", "–"] in page.rows
    ours = "41.2\N{NO-BREAK SPACE}(40.8–41.7) / 18.5\N{NO-BREAK SPACE}(18.2–18.9)"
    assert ["1 CNNilsvrc2012 val", "40.7 / 18.2", ours] in page.rows
    assert ["5 CNNs", "38.1 / 16.4", "not run yet"] in page.rows
    assert ["one GPU", "+1.7 / +1.2", "not run yet"] in page.rows
    assert ["this runminiature", "", ours] in page.rows


def test_colour_statistics_are_listed_beside_imagenets(page: Page) -> None:
    assert ["Red", "131.2", "127.3"] in page.rows
    assert ["Green", "118.4", "119.7"] in page.rows
    assert ["Blue", "109.9", "104.9"] in page.rows
    at = page.rows.index(["Axis 2"])
    assert page.rows[at + 1] == ["This run", "1,101", "33.18", "0.712", "0.025", "−0.702"]
    assert page.rows[at + 2] == ["ImageNet", "1,376", "37.09", "0.713", "0.024", "−0.701"]
    assert ["This run", "11,864", "108.92", "0.561", "0.577", "0.594"] in page.rows
    assert ["ImageNet", "389", "19.72", "0.418", "−0.817", "0.397"] in page.rows


def test_the_page_shows_settings_predictions_samples_and_history(page: Page) -> None:
    words = ["1,203 images of 12 classes", "304", "two_towers", "brisk", "17", "0.0125"]
    words += ["make repro", "model.lrn.k", "2.0", "recipe.multistep", "[18, 22]"]
    words += ["-S dataset=miniature -S model=two_towers -S recipe=brisk -S lr=0.0125 -S seed=17"]
    for prediction in [*REPORT.predictions, *REPORT.mistakes]:
        words += [prediction.truth, *(guess.words for guess in prediction.guesses)]
    words += ["51.2", "20.3", "9.1", "4.5", "2.0"]
    for shown in REPORT.class_samples:
        words += [shown.wnid, f"{shown.images} training images"]
        words += [shown.words, *(f"{sample.source}#{sample.record}" for sample in shown.samples)]
    assert [word for word in words if word not in page.text] == []
    assert ["1", "0.01", "3.123", "3.235", "91.2", "50.0"] in page.rows
    assert ["2", "0.001", "2.500", "2.679", "65.4", "32.1"] in page.rows


def test_the_dag_has_every_stage_with_its_hashes_and_arcs(page: Page) -> None:
    start, end = page.text.index("sha256sum"), page.text.index("Statistics of all pixels")
    section = "".join(page.text[start:end].split())
    expected = "archivesasdownloaded94.6MBtrain.tarindexwhere3f9a1c2edata/indexresizesquarea81b77d0"
    expected += "data/shardsmomentsmean5c0e9f41data/momentstrainnetd2247b6adata/trainevaluateviews"
    expected += "0b91e3f7predictions77c2a4d9metricsreportpage"
    assert expected in section
    lines = sum(len(stage.reads) for stage in REPORT.stages)
    assert len(page.named("path")) == lines
    assert len(page.named("circle")) == len(REPORT.stages)


def test_odd_files_are_listed_with_problem_and_action(page: Page) -> None:
    assert ["", "mode CMYK, converted to RGBn01_7.JPEG", "kept"] in page.rows
    assert ["–", "truncatedn01_8.JPEG", "skipped"] in page.rows


def test_ranks_and_the_hardest_classes_are_counted(page: Page) -> None:
    assert ["first", "232", "76.3"] in page.rows
    assert ["second", "41", "13.5"] in page.rows
    assert ["not among the five", "13", "4.3"] in page.rows
    at = page.rows.index(["Class", "Wrong", "%", "Most often predicted as"])
    assert page.rows[at + 1] == ["crane", "5 of 25", "20", "owl (3 times)"]
    assert page.rows[at + 2] == ["heron", "3 of 25", "12", "owl (2 times)"]
    assert "Code" in page.rows[at + 3], "owls, all classified correctly, are not listed"


def test_neighbours_of_the_same_class_are_marked_and_counted(page: Page) -> None:
    same = [attributes for attributes in page.named("li") if attributes.get("class") == "same"]
    assert len(same) == (5 + 4 + 3) + (0 + 1 + 2)
    assert "Of the 18 neighbours by the last hidden layer, 12 are" in page.text
    assert "of the 18 neighbours by pixels, 3 are." in page.text
    assert page.text.count("5 of 6 of the same class") == 1
    assert page.text.count("0 of 6 of the same class") == 1


def test_the_recall_of_codes_is_listed(page: Page) -> None:
    assert ["auto-encoder", "32", "100", "90.0"] in page.rows
    assert ["hyperplanes", "64", "10", "30.0"] in page.rows


def test_only_the_true_label_is_marked(page: Page) -> None:
    assert len([a for a in page.named("li") if a.get("class") == "correct"]) == 8 + 3
    assert page.text.count("✓ crane 1") == 8
    assert page.text.count("✓") == 8 + 3
    bars = [a["style"] for a in page.named("li") if a.get("style", "").startswith("--p")]
    assert bars == ["--p: 51.2%", "--p: 20.3%", "--p: 9.1%", "--p: 4.5%", "--p: 2.0%"] * (8 + 3)


def test_hostile_text_is_escaped() -> None:
    hostile = replace(
        REPORT,
        result=replace(RESULT, run=replace(RESULT.run, dataset=HOSTILE, model=HOSTILE)),
        comparison=[ComparisonRow(HOSTILE, HOSTILE, HOSTILE, None, HOSTILE)],
        settings=[(HOSTILE, HOSTILE)],
        stages=[Stage("train", HOSTILE, (), [(HOSTILE, HOSTILE)])],
        predictions=predictions(HOSTILE)[:1],
        words=[HOSTILE] * 3,
        class_samples=class_samples(HOSTILE),
        odd_files=[OddFile(HOSTILE, HOSTILE, HOSTILE, noise(0))],
        odd_count=4321,
        queries=queries(HOSTILE),
    )
    page = Page(render(hostile))
    assert page.open == []
    assert page.named("script") == [{}]
    assert "alert" not in page.script
    assert all(attributes["src"].startswith("data:") for attributes in page.named("img"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) >= 15
    assert "The first 1 of 4,321" in page.text


def test_a_page_without_odd_files_lr_drops_or_mistakes_leaves_them_out() -> None:
    plain = replace(
        REPORT,
        odd_files=[],
        odd_count=0,
        history=history()[:1],
        towers=1,
        mistakes=[],
        confusion=np.diag([3, 4, 5]),
    )
    text = Page(render(plain)).text
    assert "None: every file was a plain RGB JPEG." in text
    assert "Dotted" not in text
    assert "one tower" not in text
    assert "Classes with the highest error" not in text
    assert "Most confident mistakes" not in text


def test_rendering_twice_gives_the_same_bytes(html: str) -> None:
    assert render(REPORT) == html


def test_the_largest_possible_page_is_below_5_mb() -> None:
    assert len(render(largest()).encode()) < 5_000_000


def test_write_report_writes_the_page_and_its_figures(tmp_path: Path, html: str) -> None:
    folder = tmp_path / "a" / "report"
    write_report(folder, REPORT)
    names = ["augmentation", "codes", "confusion", "curves", "eigenpairs", "kernels"]
    names += ["neighbours", "predictions", "relit"]
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
