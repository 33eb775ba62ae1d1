"""Conditions of ``contacts/filter`` and ``conversations/filter``.

Source: Chatwoot v4.15.1, ``FilterService`` and ``lib/filters/filter_keys.yml``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from ..store.records import Json, Record
from ..store.state import State
from .access import fail

OPERATORS = (
    "equal_to",
    "not_equal_to",
    "contains",
    "does_not_contain",
    "is_present",
    "is_not_present",
    "is_greater_than",
    "is_less_than",
    "days_before",
    "starts_with",
)
CONTACT_KEYS = (
    "name",
    "phone_number",
    "email",
    "identifier",
    "country_code",
    "city",
    "company_name",
    "labels",
    "created_at",
    "last_activity_at",
    "blocked",
)
CONVERSATION_KEYS = (
    "status",
    "assignee_id",
    "inbox_id",
    "team_id",
    "contact_id",
    "priority",
    "display_id",
    "campaign_id",
    "labels",
    "browser_language",
    "conversation_language",
    "referer",
    "created_at",
    "last_activity_at",
    "mail_subject",
)
MODELS = ("conversation_attribute", "contact_attribute", "company_attribute")


def definitions(state: State, account_id: int, model: str) -> list[Record]:
    """The custom attribute definitions of one model."""
    rows = state.rows("custom_attribute_definitions", account_id)
    return [r for r in rows if r.values["attribute_model"] == model]


def check(conditions: Any, standard: tuple[str, ...], custom: set[str]) -> list[Json]:
    """Answers 422 in Chatwoot's words unless every condition can be evaluated."""
    if not isinstance(conditions, list):
        fail(422, "Invalid value. The values provided for payload are invalid")
    for condition in conditions:
        key, operator = condition.get("attribute_key"), condition.get("filter_operator")
        if key not in standard and key not in custom:
            fail(
                422,
                f"Invalid attribute key - [{key}]. The key should be one of [{','.join(standard)}] "
                "or a custom attribute defined in the account.",
            )
        if operator not in OPERATORS:
            fail(
                422,
                f"Invalid operator. The allowed operators for {key} are [{','.join(OPERATORS)}].",
            )
        if str(condition.get("query_operator") or "AND").upper() not in ("AND", "OR"):
            fail(422, 'Query operator must be either "AND" or "OR".')
        if operator not in ("is_present", "is_not_present") and not _values(condition):
            fail(422, f"Invalid value. The values provided for {key} are invalid")
    return conditions


def matches(conditions: list[Json], value_of: Callable[[str], Any], now: float) -> bool:
    """Whether a row fits; AND binds tighter than OR, as in the SQL that Chatwoot writes."""
    groups: list[bool] = []
    so_far = True
    for condition in conditions:
        so_far = so_far and _holds(condition, value_of(condition["attribute_key"]), now)
        if str(condition.get("query_operator") or "").upper() == "OR":
            groups.append(so_far)
            so_far = True
    return so_far or any(groups)


def _values(condition: Json) -> list[Any]:
    values = condition.get("values")
    return values if isinstance(values, list) else [] if values is None else [values]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value).lower()


def _holds(condition: Json, actual: Any, now: float) -> bool:
    key, operator = condition["attribute_key"], condition["filter_operator"]
    values = _values(condition)
    if operator in ("is_present", "is_not_present"):
        present = actual not in (None, "", [])
        return present is (operator == "is_present")
    if key == "phone_number" and operator in ("equal_to", "not_equal_to", "starts_with"):
        # Only the first value counts, and it gets exactly one plus sign in front.
        values = ["+" + str(values[0]).replace("+", "")]
        operator = "equal_to" if operator == "starts_with" else operator
    if operator in ("is_greater_than", "is_less_than", "days_before"):
        return _compares(operator, actual, values[0], now)
    actuals = [_text(a) for a in (actual if isinstance(actual, list) else [actual]) if a is not None]
    wanted = [_text(v) for v in values]
    if operator in ("equal_to", "not_equal_to"):
        return any(a in wanted for a in actuals) is (operator == "equal_to")
    if operator == "starts_with":
        return any(a.startswith(w) for a in actuals for w in wanted)
    return any(w in a for a in actuals for w in wanted) is (operator == "contains")


def _compares(operator: str, actual: Any, value: Any, now: float) -> bool:
    if actual is None:
        return False
    if operator == "days_before":
        return float(actual) < now - _number(value) * 86400
    limit = _number(value)
    return float(actual) > limit if operator == "is_greater_than" else float(actual) < limit


def _number(value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return float(time.mktime(time.strptime(value, "%Y-%m-%d")))
    try:
        return float(value)
    except (TypeError, ValueError):
        fail(422, "Invalid value. The values provided are invalid")
