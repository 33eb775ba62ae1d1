"""What people read on the core's own pages, one file a language in `texts/`, and which language they are shown."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from flask import render_template, request

from citaplanner_core.notifications.catalogue import DEFAULT_LANGUAGE, languages

Words = Mapping[str, Mapping[str, str]]


@cache
def words(language: str, package: str = __package__) -> Words:
    """Return the texts of a language by section and name, of these pages or of another package's."""
    return tomllib.loads((files(package) / "texts" / f"{language}.toml").read_text("utf-8"))


def asked_language(default: str = DEFAULT_LANGUAGE) -> str:
    """Return the language that the request asks for with `?lang=`, where there is no such language the default."""
    asked = request.args.get("lang", "")
    return asked if asked in languages() else default


def page(template: str, *, language: str, **values: Any) -> str:
    """Return a page of ours. Templates get the texts as `t`, besides `values`."""
    return render_template(f"core/{template}", t=words(language), **values)
