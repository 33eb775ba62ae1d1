"""`/api/v1/notification-rules`, `notification-policy`, `notifications/upcoming`."""

from dataclasses import asdict
from typing import Annotated, Any

from flask import g
from pydantic import Field

from citaplanner_core.database import work
from citaplanner_core.notifications import policy, replanning, rules
from citaplanner_core.web.api.base import blueprint
from citaplanner_core.web.api.document import operation
from citaplanner_core.web.api.policy_schemas import (
    PolicyGiven,
    PolicyShown,
    RuleGiven,
    RuleShown,
    RulesShown,
    UpcomingShown,
)
from citaplanner_core.web.api.schemas import Query

TAG = "notification rules"


class UpcomingQuery(Query):
    hours: Annotated[int, Field(ge=1, le=24 * 366)] = policy.UPCOMING_HOURS


def _shown(session: Any, rule: rules.Rule) -> dict[str, Any]:
    active = rule.name in rules.active_rules(session)
    return RuleShown(**asdict(rule), active=active).model_dump(mode="json")


@blueprint.get("/notification-rules")
@operation(TAG, RulesShown)
def list_rules() -> Any:
    """List the rules: the tenant's own ones, and the default ones that hold beside them."""
    with work(g.tenant_id, write=False) as session:
        return {"items": [_shown(session, rule) for rule in rules.list_rules(session)]}


@blueprint.put("/notification-rules/<name>")
@operation(TAG, RuleShown, 404)
def put_rule(name: str, json: RuleGiven) -> Any:
    """Keep a rule of the tenant's own, instead of one of the same name.

    Appointments to come follow it within seconds; what was sent is not sent again.
    """
    with work(g.tenant_id) as session:
        rule = rules.save_rule(session, rules.Rule(name, **json.model_dump()))
        replanning.request_replan(session)
        return _shown(session, rule)


@blueprint.delete("/notification-rules/<name>")
@operation(TAG, RulesShown, 404, 409)
def delete_rule(name: str) -> Any:
    """Take a rule of the tenant's own away. A default one of the same name holds again."""
    with work(g.tenant_id) as session:
        rules.delete_rule(session, name)
        replanning.request_replan(session)
        return {"items": [_shown(session, rule) for rule in rules.list_rules(session)]}


@blueprint.get("/notification-policy")
@operation(TAG, PolicyShown)
def show_policy() -> Any:
    """Show quiet hours, daily limit and feedback page."""
    with work(g.tenant_id, write=False) as session:
        return asdict(policy.read_policy(session))


@blueprint.patch("/notification-policy")
@operation(TAG, PolicyShown)
def change_policy(json: PolicyGiven) -> Any:
    """Change quiet hours, daily limit or feedback page; fields that are not given stay."""
    with work(g.tenant_id) as session:
        return asdict(policy.set_policy(session, json.model_dump(exclude_unset=True)))


@blueprint.get("/notifications/upcoming")
@operation(TAG, UpcomingShown)
def show_upcoming(query: UpcomingQuery) -> Any:
    """Show how many notifications wait to leave soon, by type."""
    with work(g.tenant_id, write=False) as session:
        counts = policy.upcoming(session, query.hours)
    return {"hours": query.hours, "total": sum(counts.values()), "by_type": counts}
