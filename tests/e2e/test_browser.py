"""Pages in a real Chromium."""

from tests.e2e.conftest import PHONE, Browser, Site


def test_the_first_page_is_shown_and_asks_nobody_else(site: Site, browser: Browser) -> None:
    browser.size(PHONE)
    browser.open(f"{site.url}/")
    assert browser.heading == "CitaPlanner"
    browser.follow("English")
    assert "Did you get a message about your appointment?" in browser.text
    assert browser.sticks_out() == 0
    assert browser.find("body").value_of_css_property("background-color") == "rgba(243, 245, 247, 1)"
