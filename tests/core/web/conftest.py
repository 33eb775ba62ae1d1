import pytest
from flask import Flask

from tests.core.web.support import Api, Business, make_business


@pytest.fixture
def business(app: Flask) -> Business:
    """A business whose token is used."""
    return make_business(app, "clinic")


@pytest.fixture
def other(app: Flask) -> Business:
    """Another business in the same deployment."""
    return make_business(app, "spa")


@pytest.fixture
def api(business: Business) -> Api:
    """The API as the business sees it."""
    return business.api
