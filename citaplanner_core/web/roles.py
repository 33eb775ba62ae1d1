"""What each role may do: the one table."""

from collections.abc import Mapping

ROLES: Mapping[str, tuple[str, ...]] = {
    "owner": ("read", "book", "manage"),
    "staff": ("read", "book"),
    "read-only": ("read",),
}
"""Role -> what it may do, in the words of the API's scopes."""

MEANINGS: Mapping[str, str] = {
    "read": "see the agenda, clients and the set-up",
    "book": "book, move, cancel and settle appointments; add and change clients",
    "manage": "change services, professionals, hours, closed days and time off",
}
"""What the words mean on staff pages. Everybody may change their own password."""


def may(role: str, ability: str) -> bool:
    """Tell whether a role may do something; an unknown role may do nothing."""
    return ability in ROLES.get(role, ())
