"""The page as a browser shows it: in the system's Chromium, headless, at the width of a phone and
of a desk, by day and by night."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alexnet.report.page import render
from small_report import REPORT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MADE = Path(__file__).parents[2] / "data/report/index.html"
PATIENCE = 300_000  # ms, on a busy machine
VIEWS = [(width, scheme) for width in (400, 1400) for scheme in ("light", "dark")]

# Each run of text with less than the 4.5 : 1 of WCAG AA against what lies behind it: the nearest
# background colour, and every colour of a gradient that is painted over it.
FAINT = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => {
    const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    const found = [];
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      found.push(...(style.backgroundImage.match(/rgba?\\([^)]*\\)/g) ?? []).map(numbers));
      const colour = numbers(style.backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return [...found, colour];
    }
    return [...found, [255, 255, 255]];
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    const colour = numbers(getComputedStyle(element).color);
    const least = Math.min(...behind(element).map((other) => contrast(colour, other)));
    if (least < 4.5) faint.push(`${least.toFixed(2)} ${texts.currentNode.data.trim()}`);
  }
  return faint;
}"""
HIDDEN_PICTURES = """() => [...document.images].filter((i) => !i.complete || !i.naturalWidth)
  .map((i) => i.alt)"""
TOO_WIDE = """() => [document.documentElement.scrollWidth, window.innerWidth]"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("there is no chromium on this machine: the page was not opened")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(REPORT), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["drawn", "made"])
def address(request: pytest.FixtureRequest, drawn: Path) -> str:
    """Of a page of small drawn arrays; of the one that the report stage made, if it has run."""
    if request.param == "made" and not MADE.exists():
        pytest.skip("data/report/index.html is not made yet")
    return (MADE if request.param == "made" else drawn).as_uri()


@pytest.fixture(scope="module")
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The page with `told`: what the console said and which requests left the page."""
    page = chromium.new_page()
    page.set_default_timeout(PATIENCE)
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda request: page.told.extend(outside(request.url, address)))
    page.goto(address)
    yield page
    page.close()


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
def opened(request: pytest.FixtureRequest, page: Any) -> Any:
    width, scheme = request.param
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("[...document.images].every((image) => image.complete)")
    return page


def outside(url: str, address: str) -> list[str]:
    return [] if url.startswith("data:") or url == address else [url]


def test_nothing_is_asked_for_and_the_console_is_silent(opened: Any) -> None:
    assert opened.told == []


def test_every_picture_is_shown(opened: Any) -> None:
    assert opened.evaluate("document.images.length") >= 20
    assert opened.evaluate(HIDDEN_PICTURES) == []


def test_nothing_is_wider_than_the_window(opened: Any) -> None:
    needed, there = opened.evaluate(TOO_WIDE)
    assert needed <= there


def test_every_word_stands_out_from_what_is_behind_it(opened: Any) -> None:
    assert opened.evaluate(FAINT) == []


def test_the_contrast_test_sees_grey_on_grey(opened: Any) -> None:
    opened.evaluate("""document.body.append(Object.assign(document.createElement("p"),
        {id: "faint", innerText: "faint", style: "color: #888; background: #999"}))""")
    assert opened.evaluate(FAINT) == ["1.24 faint"]
    opened.evaluate("document.getElementById('faint').remove()")


def test_headings_step_down_in_order_and_pictures_have_words(opened: Any) -> None:
    levels = opened.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert opened.evaluate("[...document.images].filter((i) => !i.alt).length") == 0


def test_the_contents_lead_to_every_section(opened: Any) -> None:
    led = opened.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))")
    there = opened.evaluate("[...document.querySelectorAll('h2')].map((h) => h.id)")
    assert led == there


def test_the_shards_can_be_searched(opened: Any) -> None:
    shelf = opened.locator(".shelf").nth(1)
    wnid = shelf.locator(".class .code").inner_text()
    opened.locator(".find input").fill(f" {wnid.upper()} ")
    assert opened.locator(".shelf:visible").count() == 1
    assert shelf.is_visible()
    opened.locator(".find input").fill("no such word")
    assert opened.locator(".shelf:visible").count() == 0
    assert opened.locator(".find [role=status]").inner_text().startswith("0 of ")
    opened.locator(".find input").fill("")
    assert opened.locator(".shelf:visible").count() == opened.locator(".shelf").count() > 1


def test_it_reads_well_without_scripts(chromium: Any, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    text = page.locator("main").inner_text()
    for heading in page.locator("h2").all_inner_texts():
        assert heading in text
    assert page.locator(".shelf:visible").count() == page.locator(".shelf").count() > 1
    assert page.locator(".find:visible").count() == 0, "what cannot search is not shown"
    context.close()
