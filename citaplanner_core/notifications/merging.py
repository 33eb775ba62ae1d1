"""Making one client of two who are the same person. Nothing is lost, and of what they want the stricter word holds."""

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.orm import Session

from citaplanner_core.booking.clients import hold_leaving
from citaplanner_core.booking.errors import NotAllowed, ValidationFailed, find, short_text
from citaplanner_core.booking.models import Appointment, Client, ClientMerge, ClientPhone
from citaplanner_core.database import Base, utcnow
from citaplanner_core.hooks import dispatch
from citaplanner_core.hooks.models import InstalledPlugin
from citaplanner_core.hooks.registry import registry
from citaplanner_core.notifications import replanning
from citaplanner_core.notifications.consents import PURPOSES, words_of
from citaplanner_core.notifications.models import Notification
from citaplanner_core.notifications.opt_outs import OptOut
from citaplanner_core.notifications.policy_models import ANY_CHANNEL, Consent

SOURCE = "merge"
_QUIET = {"synchronize_session": False}


def merge_clients(session: Session, client_id: int, *, merged_id: int, by: str) -> Client:
    """Move all that `merged_id` has to `client_id`, delete the former, and return the latter.

    `by` says who decided it. Appointments, phones, messages, consents and the rows of plugins move; notes are of both.
    What was empty is filled; where both differ what `client_id` has stays, and the other name and address go into the
    notes. Raises `NotFound` for clients who are not this tenant's, `ValidationFailed` naming `merged_id`, `NotAllowed`
    when a plugin did not move its rows. Who asks for the merged id is told the new one (`Merged`).
    """
    by = short_text("by", by)
    if client_id == merged_id:
        raise ValidationFailed("merged_id", "give another client: nobody is merged into themselves")
    require_all_loaded(session)
    hold_leaving(session, client_id=client_id, merged_id=merged_id)
    client, merged = find(session, Client, client_id, "client_id"), find(session, Client, merged_id, "merged_id")

    _join_wishes(session, client, merged)
    _join_details(client, merged)
    _move_phones(session, client, merged)
    session.flush()
    for column in (Appointment.client_id, Notification.recipient_id, Consent.client_id, ClientMerge.into_id):
        statement = update(column.class_).where(column == merged_id).values({column.key: client_id})
        session.execute(statement, execution_options=_QUIET)
    for ward in session.scalars(select(Client).where(Client.responsible_id == merged_id)):
        ward.responsible_id = client_id if ward.id != client_id else None
    session.flush()
    every = frozenset(registry().manifests)
    dispatch.each_in_savepoint(session, "client_merged", every, merged_id=merged_id, into_id=client_id)
    _require_moved(session, merged_id)
    session.add(ClientMerge(merged_id=merged_id, into_id=client_id, by=by))
    session.execute(delete(Client).where(Client.id == merged_id), execution_options=_QUIET)
    session.flush()
    session.expire_all()
    replanning.replan_client(session, client_id)
    return find(session, Client, client_id, "client_id")


def _join_details(client: Client, merged: Client) -> None:
    differs = [merged.name] if merged.name.casefold() != client.name.casefold() else []
    if merged.email and client.email and merged.email.casefold() != client.email.casefold():
        differs.append(merged.email)
    others = "\n".join(part for part in (" · ".join(differs), merged.notes) if part)
    client.notes = "\n\n".join(part for part in (client.notes, f"— {others}" if others else "") if part)
    for name in ("email", "birthday", "language", "preferred_channel"):
        if getattr(client, name) is None:
            setattr(client, name, getattr(merged, name))
    client.active = client.active or merged.active
    client.created_at = min(client.created_at, merged.created_at)
    candidates = (client.responsible_id, merged.responsible_id)
    client.responsible_id = next((one for one in candidates if one not in (None, client.id, merged.id)), None)


def _join_wishes(session: Session, client: Client, merged: Client) -> None:
    """Let the stricter word hold: of a stop, a pause, a refusal. Silence refuses nothing."""
    client.do_not_message = client.do_not_message or merged.do_not_message
    if merged.paused_until is not None and (client.paused_until is None or client.paused_until < merged.paused_until):
        client.paused_until, client.paused_why = merged.paused_until, merged.paused_why
    said = words_of(session, [client.id, merged.id])
    of_both = [said.get(client.id, {}), said.get(merged.id, {})]
    channels = {channel for words in of_both for _, channel in words} | {ANY_CHANNEL}
    for purpose in PURPOSES:
        for channel in sorted(channels):
            heard = {words.get((purpose, channel), words.get((purpose, ANY_CHANNEL))) for words in of_both}
            if False in heard and heard != {False}:
                session.add(
                    Consent(
                        client_id=client.id, channel=channel, purpose=purpose, given=False, source=SOURCE, at=utcnow()
                    )
                )
    has = set(session.execute(select(OptOut.channel, OptOut.scope).where(OptOut.client_id == client.id)))
    for stop in session.scalars(select(OptOut).where(OptOut.client_id == merged.id)):
        if (stop.channel, stop.scope) in has:  # a row compares as a tuple
            session.delete(stop)
        else:
            stop.client_id = client.id


def _move_phones(session: Session, client: Client, merged: Client) -> None:
    has = {(phone.match_key, phone.extension): phone for phone in client.phones}
    for phone in merged.phones:
        same = has.get((phone.match_key, phone.extension))
        if same is None:
            statement = update(ClientPhone).where(ClientPhone.id == phone.id).values(client_id=client.id)
            session.execute(statement, execution_options=_QUIET)
        elif not same.label:
            same.label = phone.label


def require_all_loaded(session: Session) -> None:
    """Raise `NotAllowed` when a plugin's tables are here but not its code: what it keeps of people is out of reach."""
    known = registry().manifests
    missing = sorted(name for name in session.scalars(select(InstalledPlugin.name)) if name not in known)
    if missing:
        raise NotAllowed(
            f"what the plugin {missing[0]} keeps of clients cannot be reached, as it is not loaded: list it in"
            " CITAPLANNER_PLUGINS, or remove its tables with `citaplanner plugins uninstall --drop-data`"
        )


def _require_moved(session: Session, merged_id: int) -> None:
    """Refuse when a table still has rows of the client: they would be deleted with them."""
    for mapper in Base.registry.mappers:
        table = mapper.local_table
        assert isinstance(table, Table)
        for constraint in table.foreign_key_constraints:
            if constraint.referred_table.name != "client" or table.name in ("client_phone", "client_word"):
                continue
            column = getattr(mapper.class_, constraint.column_keys[-1])
            if session.scalar(select(func.count()).where(column == merged_id)):
                raise NotAllowed(
                    f"{table.name} still has rows of the merged client, nothing was changed: see what"
                    " `citaplanner doctor` says of that plugin"
                )
