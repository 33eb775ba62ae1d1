"""One page of a table, by id."""

from collections.abc import Sequence
from typing import Any

from flask import g
from pydantic import BaseModel
from sqlalchemy import ColumnElement, select
from sqlalchemy.sql.base import ExecutableOption

from citaplanner_core.database import Base, work
from citaplanner_core.web.api.schemas import Page


def page_of(
    model: type[Base],
    shown: type[BaseModel],
    query: Page,
    *conditions: ColumnElement[bool],
    options: Sequence[ExecutableOption] = (),
) -> dict[str, Any]:
    """Return the rows after `query.after` that meet the conditions, and the id to go on from.

    `options` tell what to load along, so that the number of queries does not grow with the rows.
    """
    statement = select(model).where(model.id > query.after, *conditions).order_by(model.id).limit(query.limit + 1)
    statement = statement.options(*options)
    with work(g.tenant_id, write=False) as session:
        rows: Sequence[Base] = session.scalars(statement).all()
        items = [shown.model_validate(row).model_dump(mode="json") for row in rows[: query.limit]]
    return {"items": items, "next": items[-1]["id"] if len(rows) > query.limit else None}
