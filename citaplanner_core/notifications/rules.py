"""When which message is planned for an appointment: a tenant's rules over the default ones."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from citaplanner_core.booking.errors import NotAllowed, NotFound, ValidationFailed, find, one_of, plain_text
from citaplanner_core.booking.models import CANCELLED, COMPLETED, LIVE_STATES, NO_SHOW, Service, Tenant
from citaplanner_core.database import current_tenant
from citaplanner_core.notifications.catalogue import UnknownText, find_text, languages
from citaplanner_core.notifications.models import (
    APPOINTMENT_CANCELLATION,
    APPOINTMENT_CONFIRMATION,
    APPOINTMENT_NO_SHOW,
    APPOINTMENT_REMINDER,
    APPOINTMENT_RESCHEDULE,
    FEEDBACK_REQUEST,
    NOTIFICATION_TYPES,
    STAFF_ALERT,
)
from citaplanner_core.notifications.policy_models import NotificationRule
from citaplanner_core.notifications.service import find_channel

EVENTS = ("booked", "rescheduled", "cancelled", "completed", "no_show")
BEFORE = ("before_start", "days_before", "working_day_before")
AFTER_END = "after_end"
TRIGGERS = (*EVENTS, *BEFORE, AFTER_END)
STATES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("booked", "rescheduled", *BEFORE), LIVE_STATES),
    "cancelled": (CANCELLED,),
    "completed": (COMPLETED,),
    "no_show": (NO_SHOW,),
    AFTER_END: (*LIVE_STATES, COMPLETED),
}
"""Trigger -> the states an appointment must be in for its messages to be true."""

TYPES = tuple(kind for kind in NOTIFICATION_TYPES if kind != STAFF_ALERT)
YEAR = 366 * 1440
_NAME = re.compile(r"[a-z0-9][a-z0-9_:.-]{0,59}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is planned when, as values; `NotificationRule` keeps a tenant's own ones.

    `trigger` is an appointment event (then `minutes` is a delay after it), `before_start` (`minutes` before),
    `days_before` (`days` before the day of the appointment, at the wall clock `at` of the branch, `HH:MM`),
    `working_day_before` (the last working day before, at `at`), or `after_end` (`minutes` after the end).
    `channels` are tried in turn, the client's preferred one first; empty = all the tenant switched on. `services`
    limits it to some service ids. `template` and `language` are the type's and the recipient's unless given.
    """

    name: str
    type: str
    trigger: str
    minutes: int = 0
    days: int = 0
    at: str | None = None
    channels: tuple[str, ...] = ()
    template: str | None = None
    services: tuple[int, ...] = ()
    language: str | None = None
    enabled: bool = True

    @property
    def offset(self) -> str:
        """When, in few characters: the part of a message's key that changes when the rule's time does."""
        if self.at is not None:
            return f"{self.days if self.trigger == 'days_before' else 'w'}@{self.at}"
        return str(self.minutes)

    @property
    def text_key(self) -> str:
        """The key of the text it sends."""
        usual = self.type == APPOINTMENT_REMINDER and self.trigger == "before_start"
        return self.template or (f"{self.type}:{self.minutes}" if usual else self.type)


DEFAULT_RULES = (
    Rule("confirmation", APPOINTMENT_CONFIRMATION, "booked"),
    Rule("reminder:1440", APPOINTMENT_REMINDER, "before_start", 1440),
    Rule("reminder:60", APPOINTMENT_REMINDER, "before_start", 60),
    Rule("reschedule", APPOINTMENT_RESCHEDULE, "rescheduled"),
    Rule("cancellation", APPOINTMENT_CANCELLATION, "cancelled"),
    Rule("no_show", APPOINTMENT_NO_SHOW, "no_show", 60),
    Rule("feedback", FEEDBACK_REQUEST, "completed", 120),
)
"""What holds for a tenant until a rule of its own has the same name."""

_COLUMNS = tuple(field.name for field in fields(Rule))


_DEFAULTS: Mapping[str, Rule] = {rule.name: rule for rule in DEFAULT_RULES}


def rule_in_force(name: str, own: Mapping[str, Any] | None, *, asks: bool) -> Rule | None:
    """Return the rule of a name that plans messages now, `own` being the tenant's row, None when there is none.

    `asks`: there is a link under which clients can give their opinion.
    """
    rule = _of_row(own) if own is not None else _DEFAULTS.get(name)
    return rule if rule is not None and _plans(rule, asks=asks) else None


def _of_row(row: Mapping[str, Any]) -> Rule:
    return Rule(**{**row, "channels": tuple(row["channels"]), "services": tuple(row["services"])})


def _plans(rule: Rule, *, asks: bool) -> bool:
    return rule.enabled and (asks or rule.type != FEEDBACK_REQUEST)


def list_rules(session: Session) -> list[Rule]:
    """Return the tenant's rules, its own in place of the default ones of the same name; also those switched off."""
    rules = dict(_DEFAULTS)
    for row in session.scalars(select(NotificationRule).order_by(NotificationRule.id)):
        rules[row.name] = _of_row({name: getattr(row, name) for name in _COLUMNS})
    return list(rules.values())


def active_rules(session: Session) -> dict[str, Rule]:
    """Return by name the rules that plan messages now. Nobody is asked for an opinion without a link to give it."""
    asks = session.get_one(Tenant, current_tenant()).feedback_url is not None
    return {rule.name: rule for rule in list_rules(session) if _plans(rule, asks=asks)}


def save_rule(session: Session, rule: Rule) -> Rule:
    """Keep a tenant's own rule, instead of one of the same name; return it as kept.

    Existing appointments follow it once `planner.request_replan` was called. Raises `ValidationFailed`, `NotFound`.
    """
    rule = _checked(session, rule)
    row = session.scalar(select(NotificationRule).where(NotificationRule.name == rule.name))
    if row is None:
        row = NotificationRule(name=rule.name)
        session.add(row)
    for name, value in asdict(rule).items():
        setattr(row, name, list(value) if isinstance(value, tuple) else value)
    session.flush()
    return rule


def delete_rule(session: Session, name: str) -> None:
    """Take a tenant's own rule away; a default one of the same name holds again. Raises `NotFound`, `NotAllowed`."""
    row = session.scalar(select(NotificationRule).where(NotificationRule.name == name))
    if row is not None:
        session.delete(row)
        session.flush()
    elif any(rule.name == name for rule in DEFAULT_RULES):
        raise NotAllowed(f"name: {name} is a default rule; switch it off with enabled=false", field="name")
    else:
        raise NotFound("name", name)


def clock(field: str, text: str) -> str:
    """Return a wall clock time as `HH:MM`; raise `ValidationFailed`."""
    if not _CLOCK.fullmatch(text):
        raise ValidationFailed(field, "write a time of the day like 18:00")
    return text


def _checked(session: Session, rule: Rule) -> Rule:
    if not _NAME.fullmatch(rule.name) or rule.name == "manual":
        raise ValidationFailed("name", "use lower-case letters, digits and _:.- (60 at most), such as reminder:1440")
    kind = one_of("type", plain_text("type", rule.type).upper(), TYPES)
    one_of("trigger", rule.trigger, TRIGGERS)
    timed: dict[str, Any] = {"minutes": 0, "days": 0, "at": None}
    if rule.trigger in ("days_before", "working_day_before"):
        timed["at"] = clock("at", rule.at or "")
        if rule.trigger == "days_before":
            timed["days"] = _within("days", rule.days, 0, 365)
    else:
        timed["minutes"] = _within("minutes", rule.minutes, 1 if rule.trigger == "before_start" else 0, YEAR)
    if rule.language is not None:
        one_of("language", rule.language, languages())
    for service in rule.services:
        find(session, Service, service, "services")
    rule = replace(
        rule,
        type=kind,
        channels=tuple(dict.fromkeys(find_channel(key) for key in rule.channels)),
        services=tuple(sorted(set(rule.services))),
        template=rule.template or None,
        **timed,
    )
    try:
        find_text(rule.text_key, family="chat", code=rule.language or "es")
    except UnknownText as error:
        raise ValidationFailed("template", str(error)) from None
    return rule


def _within(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValidationFailed(field, f"give a whole number from {least} to {most}")
    return value
