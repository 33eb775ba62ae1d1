"""The tenant's notification settings of this channel. Read through `accounts.effective`, not one by one."""

from citaplanner_core.hooks.types import Setting

SETTINGS = (
    Setting(
        "enabled",
        "bool",
        "Avisos por Chatwoot",
        "Whether notifications may go out through Chatwoot.",
        default=True,
        env=None,
    ),
    Setting("api_url", "url", "Dirección de Chatwoot", "Such as https://app.chatwoot.com.", env=None),
    Setting("api_token", "str", "Token de acceso", "From the profile page of an administrator.", secret=True, env=None),
    Setting("account_id", "int", "Cuenta", "The number after /accounts/ in Chatwoot's address.", env=None),
    Setting("inbox_id", "int", "Bandeja de entrada", "The number after /inbox/ in Chatwoot's address.", env=None),
    Setting(
        "use_environment",
        "bool",
        "Usar la cuenta del servidor",
        "Whether this tenant may use the account in CHATWOOT_…, when others share the deployment.",
        default=False,
        env=None,
    ),
    Setting(
        "create_clients",
        "bool",
        "Registrar a quien escribe",
        "Whether a stranger who writes from a proven number becomes a client.",
        default=False,
        env=None,
    ),
    Setting(
        "rest_answered",
        "bool",
        "Sacar de la cola lo ya contestado",
        "Whether a conversation in which an answer was understood and done is snoozed until the client writes again.",
        default=True,
        env=None,
    ),
)
