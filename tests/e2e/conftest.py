"""The app served on a port of this machine, and one Chromium that looks at it."""

import logging
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from sqlalchemy.engine import make_url
from werkzeug.serving import make_server

from citaplanner_core.app import create_app
from citaplanner_core.database import close_database, db
from tests import services
from tests.conftest import PLUGINS, TEST_KEY

PATIENCE = 10
DESKTOP, PHONE = (1280, 900), (390, 844)
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--lang=es-MX",
)


class Browser:
    """A real browser, used as a person does: by the words on the page."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def size(self, size: tuple[int, int]) -> None:
        """Make the page as wide and high as `DESKTOP` or `PHONE`; nothing may then stick out at the side."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, address: str) -> None:
        """Open an address, and wait until the page is there."""
        self.driver.get(address)

    @property
    def address(self) -> str:
        """Where the browser is now."""
        return str(self.driver.current_url)

    @property
    def text(self) -> str:
        """What is to be read on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def heading(self) -> str:
        """The page's first heading."""
        return self.driver.find_element(By.TAG_NAME, "h1").text

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector that is there."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def follow(self, words: str) -> None:
        """Follow the first link that is to be seen with these words in it, and wait for the next page."""
        self._click(f"//a[contains(normalize-space(), {_quoted(words)})]")

    def press(self, words: str) -> None:
        """Press the first button that is to be seen with these words in it, and wait for the next page."""
        self._click(f"//button[contains(normalize-space(), {_quoted(words)})]")

    def fill(self, label: str, text: str) -> None:
        """Write `text` into the field with this label, instead of what stands there; choose it, in a list."""
        field = self.field(label)
        if field.tag_name == "select":
            field.find_element(By.XPATH, f"./option[contains(normalize-space(), {_quoted(text)})]").click()
            return
        if field.get_attribute("type") in ("date", "time"):  # typed as the machine's language has it
            self.driver.execute_script("arguments[0].value = arguments[1]", field, text)
            return
        field.clear()
        field.send_keys(text)

    def type(self, text: str) -> None:
        """Type where the focus is."""
        self.driver.switch_to.active_element.send_keys(text)

    def tab(self, times: int = 1) -> None:
        """Press the tab key."""
        for _ in range(times):
            ActionChains(self.driver).send_keys(Keys.TAB).perform()

    def enter(self) -> None:
        """Press the enter key, and wait for the next page."""
        self._leave(lambda: ActionChains(self.driver).send_keys(Keys.ENTER).perform())

    @property
    def focused(self) -> str:
        """What is written on what has the focus."""
        return str(self.driver.switch_to.active_element.text)

    def field(self, label: str) -> WebElement:
        """The field with this label."""
        found = self.driver.find_element(By.XPATH, f"//label[contains(normalize-space(), {_quoted(label)})]")
        return self.driver.find_element(By.ID, found.get_attribute("for") or "")

    def sticks_out(self) -> int:
        """How many pixels of the page are wider than the window."""
        script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.driver.execute_script(script))

    def _click(self, path: str) -> None:
        self._leave(next(one for one in self.driver.find_elements(By.XPATH, path) if one.is_displayed()).click)

    def _leave(self, act: Callable[[], None]) -> None:
        page = self.driver.find_element(By.TAG_NAME, "html")
        act()
        WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05).until(lambda _: self._has_left(page))

    def _has_left(self, page: WebElement) -> bool:
        ready = self.driver.execute_script("return document.readyState") == "complete"
        return bool(ready and self.driver.find_element(By.TAG_NAME, "html") != page)


def _quoted(words: str) -> str:
    return f"'{words}'" if "'" not in words else f'"{words}"'


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One Chromium for all tests of a process."""
    binary = services.address("chromium")
    if binary is None:
        pytest.skip(services.chromium().trouble)
    options = ChromeOptions()
    options.binary_location = binary
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Chrome) -> Browser:
    """The browser with nothing from before, as wide as a desktop's."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    made = Browser(chromium)
    made.size(DESKTOP)
    return made


@dataclass(frozen=True)
class Site:
    """An app that answers at `url`, which is its public URL, too."""

    app: Flask
    url: str


@pytest.fixture
def site(migrated: Callable[[str], str], tmp_path: Path) -> Iterator[Site]:
    """Our app with all tables (SQLite), served at a free port; its context is open."""
    shutil.copy(make_url(migrated("sqlite")).database or "", tmp_path / "test.db")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        app = create_app(
            {
                "database_url": f"sqlite:///{tmp_path / 'test.db'}",
                "plugins": PLUGINS,
                "secret_key": TEST_KEY,
                "instance_path": tmp_path / "instance",
                "public_url": f"http://127.0.0.1:{port}",
            }
        )
        server = make_server("127.0.0.1", port, app, threaded=True, fd=door.fileno())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with app.app_context():
                yield Site(app, f"http://127.0.0.1:{port}")
                db.session.remove()
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
            with app.app_context():
                close_database()
