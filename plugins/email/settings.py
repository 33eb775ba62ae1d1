"""How this tenant's mail leaves; the operator may give one server to everybody in SMTP_…."""

from citaplanner_core.hooks.types import Setting

SETTINGS = (
    Setting("enabled", "bool", "Avisos por correo", "Whether notifications may go out by e-mail.", default=True),
    Setting("host", "str", "Servidor SMTP", "Such as smtp.example.com.", required=True, env=("SMTP_HOST",)),
    Setting("port", "int", "Puerto", "587 for STARTTLS, 465 for TLS.", default=587, env=("SMTP_PORT",)),
    Setting(
        "security",
        "choice",
        "Cifrado",
        "How the connection is encrypted; auto = TLS on port 465, else STARTTLS.",
        default="auto",
        choices=("auto", "tls", "starttls", "none"),
    ),
    Setting("user", "str", "Usuario", "Empty when the server asks for none.", env=("SMTP_USER",)),
    Setting("password", "str", "Contraseña", "Of that user.", secret=True, env=("SMTP_PASSWORD",)),
    Setting("from", "str", "Remitente", "Such as Clínica Sol <citas@example.com>.", required=True, env=("SMTP_FROM",)),
)
