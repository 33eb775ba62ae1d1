"""When a business is open, who works when, and who gives which service: the tables, and the hours they come to.

Hours are times of the branch's clock. A wall time that comes twice (clocks set back) means its first coming, one that
does not come (clocks set forward) the moment of the jump: so blocks that touch on paper touch, and never overlap.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, Index, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from citaplanner_core.booking.errors import find
from citaplanner_core.booking.models import Branch
from citaplanner_core.database import Base, BigId, TenantScoped, tenant_key

DAY_MINUTES = 24 * 60
WEEK = 7


class WorkingHours(TenantScoped, Base):
    """A block of a weekday (Monday is 0) at a branch: its opening hours, or with a professional when they work there.

    Minutes since midnight, `until_minute` up to 1440; valid from and until a day of the branch, both included. A branch
    without any row is always open. A professional without any row works whenever the branch is open; one with rows
    works only then, and only at the branches they name.
    """

    __tablename__ = "working_hours"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("branch_id", "branch", ondelete="CASCADE"),
            tenant_key("professional_id", "professional", ondelete="CASCADE"),
            CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
            CheckConstraint(
                f"0 <= from_minute AND from_minute < until_minute AND until_minute <= {DAY_MINUTES}", name="block"
            ),
            CheckConstraint("valid_from <= valid_until", name="valid"),
            Index(None, "tenant_id", "branch_id"),
            Index(None, "tenant_id", "professional_id"),
        )

    branch_id: Mapped[int] = mapped_column(BigId)
    professional_id: Mapped[int | None] = mapped_column(BigId)
    weekday: Mapped[int]
    from_minute: Mapped[int]
    until_minute: Mapped[int]
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]


class Closure(TenantScoped, Base):
    """Days, both included, on which a branch is closed all day; without a branch, all of them are."""

    __tablename__ = "closure"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("branch_id", "branch", ondelete="CASCADE"),
            CheckConstraint("first_day <= last_day", name="days"),
            Index(None, "tenant_id", "last_day"),
        )

    branch_id: Mapped[int | None] = mapped_column(BigId)
    first_day: Mapped[date]
    last_day: Mapped[date]
    name: Mapped[str] = mapped_column(default="")


class TimeOff(TenantScoped, Base):
    """A time in which a professional does not work, at any branch."""

    __tablename__ = "time_off"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("professional_id", "professional", ondelete="CASCADE"),
            CheckConstraint('start < "end"', name="range"),
            Index(None, "tenant_id", "end"),
            Index(None, "tenant_id", "professional_id"),
        )

    professional_id: Mapped[int] = mapped_column(BigId)
    start: Mapped[datetime]
    end: Mapped[datetime]
    reason: Mapped[str] = mapped_column(default="")


class ProfessionalService(TenantScoped, Base):
    """A professional gives a service, at one branch or (None) at all. A service without rows is given by all."""

    __tablename__ = "professional_service"

    @classmethod
    def table_args(cls) -> tuple[Any, ...]:
        return (
            tenant_key("professional_id", "professional", ondelete="CASCADE"),
            tenant_key("service_id", "service", ondelete="CASCADE"),
            tenant_key("branch_id", "branch", ondelete="CASCADE"),
            Index(
                "uq_professional_service_everywhere",
                *("tenant_id", "service_id", "professional_id"),
                unique=True,
                postgresql_where=text("branch_id IS NULL"),
                sqlite_where=text("branch_id IS NULL"),
            ),
            Index(
                "uq_professional_service_branch",
                *("tenant_id", "service_id", "professional_id", "branch_id"),
                unique=True,
                postgresql_where=text("branch_id IS NOT NULL"),
                sqlite_where=text("branch_id IS NOT NULL"),
            ),
            Index(None, "tenant_id", "professional_id"),
            Index(None, "tenant_id", "branch_id"),
        )

    professional_id: Mapped[int] = mapped_column(BigId)
    service_id: Mapped[int] = mapped_column(BigId)
    branch_id: Mapped[int | None] = mapped_column(BigId)


Span = tuple[int, int]
"""From (included) until (not included), in seconds since 1970."""


class Clock:
    """The clock on a branch's wall. Moments are whole seconds since 1970."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self._moments: dict[tuple[date, int], int] = {}

    def day(self, moment: float) -> date:
        """The day that the wall shows at a moment."""
        return datetime.fromtimestamp(moment, self.zone).date()

    def moment(self, day: date, minute: int = 0) -> int:
        """When the wall shows that minute of the day (1440: the end of it)."""
        found = self._moments.get((day, minute))
        if found is None:
            found = self._moments[day, minute] = self._find(day, minute)
        return found

    def _find(self, day: date, minute: int) -> int:
        wall = datetime.combine(day, time(), self.zone) + timedelta(minutes=minute)
        late = round(wall.timestamp())
        if datetime.fromtimestamp(late, self.zone) == wall:
            return late
        return self._jump(round(wall.replace(fold=1).timestamp()), late)

    def offset(self, moment: int) -> int:
        """How many seconds the wall is ahead of UTC."""
        offset = datetime.fromtimestamp(moment, self.zone).utcoffset()
        assert offset is not None
        return round(offset.total_seconds())

    def _jump(self, before: int, after: int) -> int:
        """The first moment of the offset that holds at `after`."""
        new = self.offset(after)
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (before, middle) if self.offset(middle) == new else (middle, after)
        return after

    def marks(self, start: int, end: int, step: int) -> list[int]:
        """The moments from start (included) to end (not) at which the wall shows a multiple of `step` seconds."""
        return [
            moment
            for begins, until, offset in self._offsets(start, end)
            for moment in range(begins + -(begins + offset) % step, until, step)
        ]

    def _offsets(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Give from, until and offset for each stretch of time with one offset."""
        while start < end:
            until = min(end, self.moment(self.day(start) + timedelta(days=1)))
            until = max(until, start + 1)
            if self.offset(start) != self.offset(until - 1):
                until = self._jump(start, until - 1)
            yield start, until, self.offset(start)
            start = until


@dataclass(frozen=True, slots=True)
class Block:
    """A row of `working_hours`, as `Hours` reads it."""

    branch_id: int
    professional_id: int | None
    weekday: int
    from_minute: int
    until_minute: int
    valid_from: date | None
    valid_until: date | None

    def holds(self, day: date) -> bool:
        """Whether it is valid on that day; the weekday has been looked at."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class Hours:
    """When a branch is open and its people work, on the days between two moments. Three queries, whatever is asked."""

    def __init__(self, session: Session, branch: Branch, start: int, end: int) -> None:
        self.clock = Clock(branch.zone)
        self.branch_id = branch.id
        first, last = self.clock.day(start), self.clock.day(end)
        self.days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        self._read(session, start, end)
        self.opening = self._opening()

    def _read(self, session: Session, start: int, end: int) -> None:
        columns = [getattr(WorkingHours, name) for name in Block.__dataclass_fields__]
        by_person: defaultdict[int | None, list[Block]] = defaultdict(list)
        for row in session.execute(
            select(*columns).where(
                or_(WorkingHours.professional_id.is_not(None), WorkingHours.branch_id == self.branch_id)
            )
        ):
            block = Block(*row)
            by_person[block.professional_id].append(block)
        self._blocks = by_person
        closures = select(Closure.first_day, Closure.last_day).where(
            Closure.last_day >= self.days[0],
            Closure.first_day <= self.days[-1],
            or_(Closure.branch_id.is_(None), Closure.branch_id == self.branch_id),
        )
        closed = session.execute(closures).all()
        self.open_days = [day for day in self.days if not any(first <= day <= last for first, last in closed)]
        self._off: defaultdict[int, list[Span]] = defaultdict(list)
        off = select(TimeOff.professional_id, TimeOff.start, TimeOff.end).where(
            TimeOff.end > datetime.fromtimestamp(start, UTC), TimeOff.start < datetime.fromtimestamp(end, UTC)
        )
        for person, away, back in session.execute(off):
            self._off[person].append((int(away.timestamp()), -int(-back.timestamp() // 1)))

    def _opening(self) -> list[Span]:
        if None in self._blocks:
            return self._spans(self._blocks[None])
        moment = self.clock.moment
        return joined((moment(day), moment(day, DAY_MINUTES)) for day in self.open_days)

    def working(self, professional_id: int) -> list[Span]:
        """When the professional works at the branch, in order."""
        if professional_id in self._blocks:
            here = [block for block in self._blocks[professional_id] if block.branch_id == self.branch_id]
            found = common(self.opening, self._spans(here))
        else:
            found = self.opening
        return without(found, joined(self._off[professional_id])) if professional_id in self._off else found

    def _spans(self, blocks: Sequence[Block]) -> list[Span]:
        of_weekday: list[list[Block]] = [[] for _ in range(WEEK)]
        for block in blocks:
            of_weekday[block.weekday].append(block)
        moment = self.clock.moment
        return joined(
            (moment(day, block.from_minute), moment(day, block.until_minute))
            for day in self.open_days
            for block in of_weekday[day.weekday()]
            if block.holds(day)
        )


def opening_hours(session: Session, branch_id: int, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """When a branch is open between two aware moments, in order, as aware UTC; raise `NotFound`.

    A branch without hours is always open, its closed days excepted.
    """
    branch = find(session, Branch, branch_id, "branch_id")
    window = (int(start.timestamp()), int(end.timestamp()))
    spans = common(Hours(session, branch, *window).opening, [window])
    return [(datetime.fromtimestamp(opens, UTC), datetime.fromtimestamp(closes, UTC)) for opens, closes in spans]


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time in order, without what is empty, overlaps or touches."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return found


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """The time that is in both; each in order."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


def without(spans: Sequence[Span], gaps: Sequence[Span]) -> list[Span]:
    """The time that is in the first and not in the second; each in order."""
    found: list[Span] = []
    for start, end in spans:
        for away, back in gaps:
            if back <= start or end <= away:
                continue
            if start < away:
                found.append((start, away))
            start = back
        if start < end:
            found.append((start, end))
    return found
