"""The Chatwoot plugin as the core sees it."""

from collections.abc import Sequence

from citaplanner_core.hooks.hookspecs import hookimpl
from citaplanner_core.hooks.types import Setting
from plugins.chatwoot import models as models
from plugins.chatwoot.settings import SETTINGS


class ChatwootPlugin:
    """Both ways between appointments and Chatwoot conversations."""

    @hookimpl
    def citaplanner_settings_schema(self) -> Sequence[Setting]:
        return SETTINGS


plugin = ChatwootPlugin()
