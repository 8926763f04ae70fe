"""The page, the figures and the grid that ``latentry compare`` leaves, and what the command says."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.commandline import Done, fresh
from support.toy import PLUGIN, write_toy

from latentry_compare import error_plot
from latentry_compare._page import html, plot
from latentry_compare._report import Picture, Report, Row

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder to put pictures of the page into, for people to look at."""


def row(name: str, steps: int, distance: float | None, files: tuple[str, ...], elsewhere: str = "") -> Row:
    pictures = tuple(Picture(file, distance, "" if file else "The <machine> lacks memory.") for file in files)
    return Row(name, "trailing", steps, 2.0, steps, 0.5 / steps, distance, distance, pictures, elsewhere, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of one colour each."""
    found = tmp_path_factory.mktemp("comparison")
    for number in range(1, 9):
        Image.new("RGB", (32, 16), (30 * number, 0, 255 - 30 * number)).save(found / f"{number}.png")
    return found


@pytest.fixture(scope="module")
def report() -> Report:
    rows = (
        row("unipc", 4, 0.02, ("3.png", "4.png")),
        row("unipc", 16, 0.001, ("5.png", "6.png")),
        row("noisy", 4, None, ("7.png", ""), "draws noise of its own"),
        row("euler", 4, 0.1, ("8.png", "8.png")),
    )
    return Report(
        "a <model>",
        (32, 16),
        ("<script>alert(1)</script>",),
        (1, 2),
        ((0, 1), (0, 2)),
        (row("unipc", 64, 0.0005, ("1.png", "2.png")),),
        rows,
        2,
        {"device": "cpu", "dtype": "float32"},
        "0.1.0",
    )


class Collected(HTMLParser):
    """Tags of a page with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_page_is_whole_and_what_came_from_outside_is_text(report: Report, folder: Path) -> None:
    page = Collected(html(report, folder))
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert links and all(str(link).startswith(("data:image/webp;base64,", "#")) for link in links)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert {"a <model>", "<script>alert(1)</script>", "The <machine> lacks memory."} <= set(page.words)
    images = [attributes["alt"] for tag, attributes in page.tags if tag == "img" and attributes.get("src")]
    assert len(images) == 9 and len(set(images)) == 9
    assert images[1:3] == ["reference: unipc, 64 steps, seed 2", "unipc, 4 steps, seed 1"]
    assert "noisy draws noise of its own" in " ".join(page.words)


def test_a_curve_is_one_scheduler_on_one_of_the_sigmas_that_are_compared(report: Report) -> None:
    """Where a scheduler's own sigmas change with its steps, its curve goes on."""
    few, many = report.rows[:2]
    own = replace(report, rows=(replace(few, sigmas="beta"), many))
    assert "unipc</text>" in plot(own)
    both = replace(report, rows=(few, many, replace(few, sigmas="beta"), replace(many, sigmas="beta")))
    assert {"unipc trailing", "unipc beta"} <= set(re.findall(r">([^<>\n]+)</text>", plot(both)))


def test_pictures_in_the_page_are_small(report: Report, folder: Path) -> None:
    def length(side: int) -> int:
        return len(html(report, folder, thumbnail=side))

    assert length(8) < length(32) == length(512)


def test_the_plot_has_each_curve_at_its_place() -> None:
    curves = {"first": {10.0: 0.1, 5.0: 0.4, 20.0: 0.025}, "second": {10.0: 0.01, 20.0: 0.001}}
    svg = error_plot({"": curves}, ylabel="distance", floors={"": 1e-4})
    assert svg == error_plot({"": curves}, ylabel="distance", floors={"": 1e-4})
    assert {"first", "second", "distance", "evaluations of the network", "5", "10", "20"} <= set(
        re.findall(r">([^<>\n]+)</text>", svg)
    )
    straight, _legend = [
        [tuple(map(float, point.split())) for point in re.split("[ML]", line)[1:]]
        for line in re.findall(r'<path d="(M[^"Z]*)"[^>]*stroke: #2f7fd1', svg)
        if line.count("L") == 2
    ]
    # each doubling divides by four: a straight line on these axes
    (x1, y1), (x2, y2), (x3, y3) = straight
    assert x2 - x1 == pytest.approx(x3 - x2, rel=1e-3)
    assert y2 - y1 == pytest.approx(y3 - y2, rel=1e-3)
    assert y3 > y1  # SVG counts downwards


def compared(folder: Path, *arguments: object) -> Done:
    return fresh("compare", *arguments, "--plugin-dir", PLUGIN, folder=folder)


@pytest.mark.slow
def test_the_command_fills_a_folder_and_goes_on(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    axes = ("--scheduler", "unipc,first", "--steps", "3,6", "--seed", "1..2", "--model", model, "--output", "out")
    done = compared(tmp_path, "red", *axes, "--reference-steps", 16)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split()[:5] == ["scheduler", "steps", "evaluations", "distance", "worst"]
    assert done.out.splitlines()[-1] == str(Path("out") / "report.html")
    found = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [(one["scheduler"], one["steps"]) for one in found["rows"]] == [
        ("unipc", 3),
        ("unipc", 6),
        ("first", 3),
        ("first", 6),
    ]
    with Image.open(tmp_path / "out" / "grid.png") as grid:
        assert grid.height > grid.width  # five rows of two
    again = compared(tmp_path, "red", *axes, "--reference-steps", 16, "--resume", "--json")
    assert json.loads(again.out)["rows"] == found["rows"]
    refused = compared(tmp_path, "red", *axes, "--sigmas", "karras,karras", "--resume")
    assert refused.code == 2
    assert "karras is given twice" in refused.err
    wrong = compared(tmp_path, "red", "--steps", "few", "--output", "other", "--width", "wide")
    assert wrong.code == 2
    assert "--steps few: it must be numbers separated by commas" in wrong.err


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (CHROMIUM and DRIVER):
        pytest.skip("Chromium and its driver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield found
    finally:
        found.quit()


def opened(browser: Any, page: Path, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())


@pytest.mark.slow
def test_the_page_fits_and_is_used_by_keyboard(browser: Any, report: Report, folder: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    page = folder / "report.html"
    page.write_text(html(report, folder), encoding="utf-8")

    def script(text: str) -> Any:
        return browser.execute_script(f"return {text}")

    def press(*keys: str) -> None:
        ActionChains(browser).send_keys(*keys).perform()

    for width, scheme in ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")):
        opened(browser, page, width, scheme)
        assert script("document.documentElement.scrollWidth") <= width
        colour = script("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", colour)[:3])) > 3 * 128) == (scheme == "light")
        if SCREENSHOTS:
            browser.save_screenshot(str(Path(SCREENSHOTS) / f"{width}-{scheme}.png"))

    heading = "document.querySelector('#figures thead button')"
    names = "[...document.querySelectorAll('#figures tbody th')].map((one) => one.textContent)"
    script(f"{heading}.focus()")
    press(Keys.ENTER)
    assert script(names) == ["euler", "noisy", "unipc", "unipc"]
    press(Keys.ENTER)
    assert script(names) == ["unipc", "unipc", "noisy", "euler"]

    script("document.querySelector('#grid button[tabindex=\"0\"]').focus()")
    press(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    assert script("document.activeElement.firstElementChild.alt") == "unipc, 4 steps, seed 2"
    press(Keys.ENTER)
    title, other = "document.querySelector('#large-title').textContent", "document.querySelector('#large-other').alt"
    assert script("document.querySelector('#large').open")
    assert (script(title), script(other)) == ("unipc, 4 steps, seed 2", "reference: unipc, 64 steps, seed 2")
    press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)  # past a place without a picture
    assert script(title) == "euler, 4 steps, seed 2"
    press(Keys.ESCAPE)
    assert not script("document.querySelector('#large').open")
    # a dialog gives the focus back to where it was, and tells the page only in a later task that it is closed
    chosen = "document.activeElement.firstElementChild.alt"
    WebDriverWait(browser, 60, poll_frequency=0.05).until(lambda _: script(chosen) == "euler, 4 steps, seed 2")
    assert script("document.querySelectorAll('#grid button[tabindex=\"0\"]').length") == 1
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
