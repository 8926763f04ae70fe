"""A browser without a window walks through the page: it draws, compares, cancels, and reads a recipe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.serving import Running, running

from latentry import PluginHost

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
REDRAWN = (NoSuchElementException, StaleElementReferenceException)
"""What a look at the page can meet while it changes."""
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""A folder to put pictures of the page into, for people to look at."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium and its driver are not installed"),
]


class Page:
    """The page in a browser.

    Args:
        browser: that shows it.
    """

    def __init__(self, browser: Any) -> None:
        self.browser = browser

    def one(self, selector: str) -> Any:
        """The first element."""
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[Any]:
        """All of them."""
        found: list[Any] = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return found

    def until(self, what: Any) -> Any:
        """Waits until something holds."""
        wait = WebDriverWait(self.browser, 60, poll_frequency=0.05, ignored_exceptions=REDRAWN)
        return wait.until(lambda _: what())

    def enter(self, selector: str, text: str) -> None:
        """Replaces what is in a field."""
        self.one(selector).clear()
        self.one(selector).send_keys(text)

    def finished(self) -> list[Any]:
        """Cards of pictures that can be saved."""
        return [card for card in self.all(".card") if card.find_elements(By.CSS_SELECTOR, "a[download]")]

    def shoot(self, name: str) -> None:
        """A picture of the page, where somebody wants to look at it."""
        if SCREENSHOTS:
            height = self.browser.execute_script("return document.documentElement.scrollHeight")
            self.browser.set_window_size(self.browser.get_window_size()["width"], min(max(height, 700), 2600))
            self.browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))


@pytest.fixture(scope="module")
def server(models: Path, host: PluginHost) -> Iterator[Running]:
    """One of its own: the common one forgets its oldest jobs when it has many, also while the page reads them."""
    with running(models, host) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield found
    finally:
        found.quit()


def opened(browser: Any, server: Running, *, width: int = 1280, scheme: str = "light") -> Page:
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.set_window_size(width, 900)
    browser.get(server.url)
    page = Page(browser)
    page.until(lambda: "schedulers" in page.one("#status").text)
    return page


@pytest.fixture
def page(browser: Any, server: Running) -> Page:
    return opened(browser, server)


def test_a_picture_is_drawn_by_the_keyboard_alone(page: Page) -> None:
    page.enter("#prompt", "by the keyboard")
    page.one("#prompt").send_keys(Keys.CONTROL, Keys.ENTER)
    card = page.until(lambda: [card for card in page.finished() if "by the keyboard" in card.text])[0]
    image = card.find_element(By.TAG_NAME, "img")
    assert image.get_attribute("naturalWidth") == "32"
    assert "by the keyboard" in image.get_attribute("alt")


def test_the_form_of_a_scheduler_is_drawn_from_its_schema(page: Page) -> None:
    Select(page.one("#scheduler")).select_by_value("unipc")
    names = {field.get_attribute("data-name") for field in page.all("#scheduler-options [data-name]")}
    assert {"order", "corrector", "variant"} <= names
    page.enter("#option-order", "3")
    Select(page.one("#option-variant")).select_by_visible_text("bh1")
    page.enter("#prompt", "with options")
    page.enter("#main-seed", "5")
    page.one(".go").click()
    card = page.until(lambda: [card for card in page.finished() if "with options" in card.text])[0]
    card.find_element(By.XPATH, ".//button[text()='Recipe']").click()
    text = page.until(lambda: page.one("#recipe").text)
    assert '"order": 3' in text
    assert '"variant": "bh1"' in text
    page.one("#dialog").send_keys(Keys.ESCAPE)


def test_schedulers_that_do_not_fit_cannot_be_chosen(page: Page) -> None:
    option = page.one("#scheduler option[value='flow-only']")
    assert not option.is_enabled()
    assert "flow" in option.get_attribute("title")
    Select(page.one("#model")).select_by_value("toy-flow")
    page.until(lambda: page.one("#scheduler option[value='flow-only']").is_enabled())


def test_several_schedulers_are_drawn_side_by_side_on_one_seed(page: Page) -> None:
    before = len(page.all(".card"))
    page.enter("#prompt", "side by side")
    page.one("#compare summary").click()
    for name in ("ddim", "euler", "unipc"):
        page.one(f"#others input[value='{name}']").click()
    page.one(".go").click()
    page.until(lambda: len(page.all(".card")) == before + 3)

    def drawn() -> list[Any]:
        return [card for card in page.finished() if "side by side" in card.text]

    page.until(lambda: len(drawn()) == 3)
    titles = [card.find_element(By.TAG_NAME, "h2").text for card in drawn()]
    assert {title.split(",")[0] for title in titles} == {"ddim", "euler", "unipc"}
    assert len({title.rpartition("seed ")[2] for title in titles}) == 1
    page.shoot("desk-light")


def test_what_is_wrong_is_said(page: Page) -> None:
    page.enter("#main-width", "8192")
    page.enter("#main-height", "8192")
    page.one(".go").click()
    error = page.until(lambda: page.one("#error").is_displayed() and page.one("#error").text)
    assert "67,108,864 pixels" in error


def test_a_running_job_shows_how_far_it_is_and_is_cancelled(page: Page) -> None:
    page.enter("#prompt", "to be cancelled")
    page.enter("#main-steps", "150")
    page.enter("#main-count", "16")
    page.one(".go").click()
    page.until(lambda: page.all("progress"))
    page.one("#stop").click()
    page.until(lambda: "cancelled" in page.one(".card").text.lower())


def test_a_dropped_picture_gives_its_recipe(page: Page, server: Running, tmp_path: Path) -> None:
    job = server.job(prompt="from a recipe", seed=99, steps=4, scheduler="unipc", scheduler_options={"order": 1})
    server.events(job["id"])
    data = server.ask("GET", f"/latentry/v1/jobs/{job['id']}/images/0.png").content
    script = """
        const file = new File([new Uint8Array(arguments[0])], "picture.png", { type: "image/png" });
        const transfer = new DataTransfer();
        transfer.items.add(file);
        document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    """
    page.browser.execute_script(script, list(data))
    page.until(lambda: page.one("#dialog").is_displayed())
    assert page.one("#prompt").get_attribute("value") == "from a recipe"
    assert page.one("#main-seed").get_attribute("value") == "99"
    assert Select(page.one("#scheduler")).first_selected_option.text == "unipc"
    assert page.one("#option-order").get_attribute("value") == "1"
    page.one("#dialog").send_keys(Keys.ESCAPE)


def test_the_history_is_there_when_the_page_is_opened_again(browser: Any, server: Running) -> None:
    page = opened(browser, server)
    page.enter("#prompt", "kept for later")
    page.one(".go").click()
    page.until(lambda: [card for card in page.finished() if "kept for later" in card.text])
    again = opened(browser, server)
    again.until(lambda: [card for card in again.finished() if "kept for later" in card.text])


def test_cancelling_leaves_the_history_while_it_is_still_read(browser: Any, server: Running) -> None:
    job = server.job(prompt="an old picture")["id"]
    server.events(job)
    held = """
        const ask = window.fetch;
        const held = new Promise((go) => { window.letGo = go; });
        window.fetch = async (...given) => { if (given[0].endsWith("/events")) await held; return ask(...given); };
    """
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": held})["identifier"]
    try:
        page = opened(browser, server)
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script})
    page.until(lambda: page.all(f".card[data-job='{job}']"))
    page.one("#stop").click()
    page.browser.execute_script("window.letGo()")
    page.until(lambda: [card for card in page.finished() if card.get_attribute("data-job") == job])
    assert server.ask("GET", f"/latentry/v1/jobs/{job}").status_code == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_in_light_and_dark(browser: Any, server: Running, width: int, scheme: str) -> None:
    page = opened(browser, server, width=max(width, 500), scheme=scheme)
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.until(lambda: page.one("#prompt").is_displayed())
        wide, inner = page.browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= inner
        colour = page.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        light = sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) > 3 * 128
        assert light == (scheme == "light")
        small = page.browser.execute_script(  # at once: the page may be drawing its form again
            """return [...document.querySelectorAll("button, input, select")]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 20)
                .map((one) => one.outerHTML)"""
        )
        assert small == []
        if SCREENSHOTS:
            page.browser.save_screenshot(str(Path(SCREENSHOTS) / f"{width}-{scheme}.png"))
            page.browser.execute_script("document.querySelector('#results').scrollIntoView()")
            page.browser.save_screenshot(str(Path(SCREENSHOTS) / f"{width}-{scheme}-results.png"))
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_control_has_a_name_and_nothing_else_is_asked(browser: Any, page: Page, server: Running) -> None:
    """Of the whole walk: the browser asked this server alone, and had nothing to complain about."""
    nameless = page.browser.execute_script(
        """return [...document.querySelectorAll("input, select, textarea, button")]
            .filter((one) => !(one.labels?.length || one.textContent.trim() || one.getAttribute("aria-label")))
            .map((one) => one.outerHTML)"""
    )
    assert nameless == []
    asked = page.browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [one for one in asked if not one.startswith((server.url, "blob:", "data:"))] == []
    said = [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert [line for line in said if "403" not in line] == []
