"""The page in the system's Chromium, headless: at phone and desktop width, in both themes."""

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
RUN_PAGE = Path(__file__).parents[2] / "data/report/index.html"
TIMEOUT = 300_000  # ms: the machine may be busy
VIEWS = [(width, scheme) for width in (400, 1400) for scheme in ("light", "dark")]

# Texts with a contrast below 4.5 : 1 (WCAG AA) against their background: the nearest background
# colour, and every colour of a gradient painted over it.
LOW_CONTRAST = """() => {
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
  const low = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    const colour = numbers(getComputedStyle(element).color);
    const least = Math.min(...behind(element).map((other) => contrast(colour, other)));
    if (least < 4.5) low.push(`${least.toFixed(2)} ${texts.currentNode.data.trim()}`);
  }
  return low;
}"""
BROKEN_IMAGES = """() => [...document.images].filter((i) => !i.complete || !i.naturalWidth)
  .map((i) => i.alt)"""
WIDTHS = """() => [document.documentElement.scrollWidth, window.innerWidth]"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as instance:
        browser = instance.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=TIMEOUT
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(REPORT), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=["small", "run"])
def address(request: pytest.FixtureRequest, small_page: Path) -> str:
    """The address of a page of small arrays, and of the report stage's page if it has run."""
    if request.param == "run" and not RUN_PAGE.exists():
        pytest.skip("data/report/index.html does not exist")
    return (RUN_PAGE if request.param == "run" else small_page).as_uri()


@pytest.fixture(scope="module")
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The page; `events` collects console messages, errors and requests to other addresses."""
    page = chromium.new_page()
    page.set_default_timeout(TIMEOUT)
    page.events = []
    page.on("console", lambda message: page.events.append(message.text))
    page.on("pageerror", lambda error: page.events.append(str(error)))
    page.on("request", lambda request: page.events.extend(foreign(request.url, address)))
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


def foreign(url: str, address: str) -> list[str]:
    return [] if url.startswith("data:") or url == address else [url]


def test_there_are_no_requests_and_no_console_messages(opened: Any) -> None:
    assert opened.events == []


def test_every_image_is_shown(opened: Any) -> None:
    assert opened.evaluate("document.images.length") >= 20
    assert opened.evaluate(BROKEN_IMAGES) == []


def test_the_page_fits_the_window_width(opened: Any) -> None:
    page_width, window_width = opened.evaluate(WIDTHS)
    assert page_width <= window_width


def test_all_text_has_enough_contrast(opened: Any) -> None:
    assert opened.evaluate(LOW_CONTRAST) == []


def test_the_contrast_check_finds_grey_on_grey(opened: Any) -> None:
    opened.evaluate("""document.body.append(Object.assign(document.createElement("p"),
        {id: "faint", innerText: "faint", style: "color: #888; background: #999"}))""")
    assert opened.evaluate(LOW_CONTRAST) == ["1.24 faint"]
    opened.evaluate("document.getElementById('faint').remove()")


def test_heading_levels_are_in_order_and_images_have_alternative_text(opened: Any) -> None:
    levels = opened.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert opened.evaluate("[...document.images].filter((i) => !i.alt).length") == 0


def test_the_contents_link_to_every_section(opened: Any) -> None:
    links = opened.evaluate("[...document.querySelectorAll('nav a')].map((a) => a.hash.slice(1))")
    assert links == opened.evaluate("[...document.querySelectorAll('h2')].map((h) => h.id)")


def test_the_training_samples_can_be_searched(opened: Any) -> None:
    row = opened.locator(".samples").nth(1)
    wnid = row.locator(".class .code").inner_text()
    opened.locator(".find input").fill(f" {wnid.upper()} ")
    assert opened.locator(".samples:visible").count() == 1
    assert row.is_visible()
    opened.locator(".find input").fill("no such word")
    assert opened.locator(".samples:visible").count() == 0
    assert opened.locator(".find [role=status]").inner_text().startswith("0 of ")
    opened.locator(".find input").fill("")
    assert opened.locator(".samples:visible").count() == opened.locator(".samples").count() > 1


def test_the_page_is_complete_without_scripts(chromium: Any, address: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    text = page.locator("main").inner_text()
    for heading in page.locator("h2").all_inner_texts():
        assert heading in text
    assert page.locator(".samples:visible").count() == page.locator(".samples").count() > 1
    assert page.locator(".find:visible").count() == 0, "the search field needs scripts"
    context.close()
