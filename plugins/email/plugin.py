"""The e-mail plugin as the core sees it."""


class EmailPlugin:
    """Notifications by e-mail."""


plugin = EmailPlugin()
