"""The Chatwoot plugin as the core sees it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from citaplanner_core.hooks.hookspecs import hookimpl
from citaplanner_core.hooks.types import Setting
from plugins.chatwoot import models as models
from plugins.chatwoot.settings import SETTINGS
from plugins.chatwoot.story import play


class ChatwootPlugin:
    """Both ways between appointments and Chatwoot conversations."""

    @hookimpl
    def citaplanner_settings_schema(self) -> Sequence[Setting]:
        return SETTINGS

    @hookimpl
    def citaplanner_demo_story(self) -> Callable[[Mapping[str, Any]], int]:
        return play


plugin = ChatwootPlugin()
