"""What an appointment becomes in words: in the branch's zone, in the recipient's language."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.notifications.variables import (
    APPOINTMENT_NAMES,
    CLIENT_NAMES,
    appointment_variables,
    client_variables,
)
from tests.core.notifications.samples import LINK, START, make_appointment, make_client, make_tenant

MEXICO = ZoneInfo("America/Mexico_City")
ZONES = ("America/Mexico_City", "America/Tijuana", "America/Cancun", "Europe/Madrid", "Asia/Kolkata")


def words(
    *,
    language: str = "es",
    now: datetime = START - timedelta(hours=1),
    old_start: datetime | None = None,
    manage_url: str = "",
    **appointment: object,
) -> dict[str, str]:
    return appointment_variables(
        make_appointment(**appointment),  # type: ignore[arg-type]  # the keywords are those of the helper
        make_tenant(),
        language_code=language,
        now=now,
        old_start=old_start,
        manage_url=manage_url,
        name_zone=False,
    )


def test_everything_in_spanish() -> None:
    assert words(now=START - timedelta(days=1), old_start=START - timedelta(hours=21), manage_url=LINK) == {
        "clientName": "Laura Gómez",
        "clientFirstName": "Laura",
        "clientLastName": "Gómez",
        "recipientName": "Laura Gómez",
        "recipientFirstName": "Laura",
        "visitorName": "",
        "isDiscreet": "",
        "clientEmail": "laura@example.com",
        "clientPhone": "+525512345678",
        "businessName": "Clínica Sonrisa",
        "businessPhone": "55 5555 0100",
        "businessAddress": "Av. Juárez 10, Centro",
        "businessEmail": "",
        "bookingUrl": "",
        "panelUrl": "",
        "appointmentDate": "viernes 27 de noviembre",
        "appointmentDateShort": "vie 27 nov",
        "appointmentTime": "10:00 a.m.",
        "appointmentDateTime": "viernes 27 de noviembre, 10:00 a.m.",
        "appointmentDay": "mañana",
        "appointmentAtTime": "a las 10:00 a.m.",
        "appointmentStatus": "por confirmar",
        "timeUntil": "1 día",
        "oldDate": "jueves 26 de noviembre",
        "oldDateShort": "jue 26 nov",
        "oldTime": "1:00 p.m.",
        "newDate": "viernes 27 de noviembre",
        "newDateShort": "vie 27 nov",
        "newTime": "10:00 a.m.",
        "serviceName": "Limpieza dental",
        "serviceDuration": "45 minutos",
        "servicePrice": "",
        "duration": "45 minutos",
        "price": "",
        "staffName": "Dra. Ana Ruiz",
        "professionalName": "Dra. Ana Ruiz",
        "professionalPhone": "",
        "branchName": "Centro",
        "branchAddress": "Av. Juárez 10, Centro",
        "branchPhone": "55 5555 0100",
        "cancelReasonLine": "",
        "manageUrl": LINK,
    }


def test_dates_and_times_in_english() -> None:
    given_words = words(language="en", now=START - timedelta(days=3), old_start=START - timedelta(hours=21))
    assert given_words["appointmentDateTime"] == "Friday, November 27, 10:00 AM"
    assert given_words["appointmentDateShort"] == "Fri, Nov 27"
    assert given_words["appointmentDay"] == "on Friday, November 27"
    assert given_words["appointmentAtTime"] == "at 10:00 AM"
    assert given_words["appointmentStatus"] == "pending confirmation"
    assert given_words["oldTime"] == "1:00 PM"
    assert given_words["timeUntil"] == "3 days"


@pytest.mark.parametrize("code", ["en-GB", "EN", "en_US"])
def test_a_regional_code_is_its_language(code: str) -> None:
    assert words(language=code)["appointmentTime"] == "10:00 AM"


def test_a_language_without_texts_is_spanish() -> None:
    assert words(language="fr")["appointmentTime"] == "10:00 a.m."


def test_exactly_the_promised_names() -> None:
    assert set(words()) == {*CLIENT_NAMES, *APPOINTMENT_NAMES}
    assert set(client_variables(make_client(), make_tenant())) == set(CLIENT_NAMES)


@pytest.mark.parametrize("zone", ["America/Mexico_City", "America/Tijuana", "Europe/Madrid"])
def test_ten_o_clock_is_ten_where_the_branch_is(zone: str) -> None:
    start = datetime(2026, 11, 27, 10, 0, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert words(zone=zone, start=start)["appointmentDateTime"] == "viernes 27 de noviembre, 10:00 a.m."


def test_one_instant_in_three_zones() -> None:
    assert [
        words(zone=zone)["appointmentTime"] for zone in ("America/Mexico_City", "America/Tijuana", "Europe/Madrid")
    ] == [
        "10:00 a.m.",
        "8:00 a.m.",
        "5:00 p.m.",
    ]


@pytest.mark.parametrize(
    ("zone", "utc", "local"),
    [
        # Mexico City keeps one time all year since 2022
        ("America/Mexico_City", datetime(2026, 7, 1, 16, 0, tzinfo=UTC), "10:00 a.m."),
        # Tijuana follows California: clocks forward on March 8, back on November 1
        ("America/Tijuana", datetime(2026, 3, 8, 9, 59, tzinfo=UTC), "1:59 a.m."),
        ("America/Tijuana", datetime(2026, 3, 8, 10, 0, tzinfo=UTC), "3:00 a.m."),
        ("America/Tijuana", datetime(2026, 10, 31, 17, 0, tzinfo=UTC), "10:00 a.m."),
        ("America/Tijuana", datetime(2026, 11, 1, 18, 0, tzinfo=UTC), "10:00 a.m."),
        # Madrid lives 2:30 twice on October 25
        ("Europe/Madrid", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2:30 a.m."),
        ("Europe/Madrid", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2:30 a.m."),
    ],
)
def test_summer_time_edges(zone: str, utc: datetime, local: str) -> None:
    assert words(zone=zone, start=utc)["appointmentTime"] == local


@given(
    start=st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, UTC)),
    zone=st.sampled_from(ZONES),
    language=st.sampled_from(["es", "en"]),
)
def test_the_clock_read_back_is_the_branch_s(start: datetime, zone: str, language: str) -> None:
    spoken = words(start=start, zone=zone, language=language)["appointmentTime"]
    local = start.astimezone(ZoneInfo(zone))
    half = ("a.m.", "p.m.") if language == "es" else ("AM", "PM")
    assert spoken == f"{local.hour % 12 or 12}:{local:%M} {half[local.hour // 12]}"


@pytest.mark.parametrize(
    ("hour", "spoken"),
    [
        (0, "a las 12:30 a.m."),
        (1, "a la 1:30 a.m."),
        (11, "a las 11:30 a.m."),
        (12, "a las 12:30 p.m."),
        (13, "a la 1:30 p.m."),
    ],
)
def test_one_o_clock_is_singular(hour: int, spoken: str) -> None:
    start = datetime(2026, 11, 27, hour, 30, tzinfo=MEXICO).astimezone(UTC)
    assert words(start=start)["appointmentAtTime"] == spoken


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 11, 27, 23, 0, tzinfo=MEXICO), "hoy"),
        (datetime(2026, 11, 26, 0, 1, tzinfo=MEXICO), "mañana"),
        (datetime(2026, 11, 25, 23, 59, tzinfo=MEXICO), "el viernes 27 de noviembre"),
        (datetime(2026, 11, 28, 0, 30, tzinfo=MEXICO), "el viernes 27 de noviembre"),
    ],
)
def test_today_and_tomorrow_are_the_branch_s(now: datetime, day: str) -> None:
    # 23:30 on the 27th in Mexico City is already the 28th in UTC
    start = datetime(2026, 11, 27, 23, 30, tzinfo=MEXICO).astimezone(UTC)
    assert words(start=start, now=now.astimezone(UTC))["appointmentDay"] == day


@pytest.mark.parametrize(
    ("minutes", "spanish", "english"),
    [
        (1, "1 minuto", "1 minute"),
        (45, "45 minutos", "45 minutes"),
        (60, "1 hora", "1 hour"),
        (90, "1 hora y 30 minutos", "1 hour and 30 minutes"),
        (121, "2 horas y 1 minuto", "2 hours and 1 minute"),
    ],
)
def test_durations(minutes: int, spanish: str, english: str) -> None:
    assert words(minutes=minutes)["serviceDuration"] == spanish
    assert words(minutes=minutes, language="en")["serviceDuration"] == english


@pytest.mark.parametrize(
    ("ahead", "spoken"),
    [
        (timedelta(minutes=1440), "1 día"),
        (timedelta(minutes=59, seconds=40), "1 hora"),
        (timedelta(days=2, hours=1), "2 días"),
        (timedelta(hours=23), "23 horas"),
        (timedelta(0), "0 minutos"),
        (timedelta(hours=-3), "0 minutos"),
    ],
)
def test_time_until(ahead: timedelta, spoken: str) -> None:
    assert words(now=START - ahead)["timeUntil"] == spoken


def test_a_cancel_reason_is_a_line_of_its_own() -> None:
    cancelled = words(status="CANCELLED", cancel_reason="la doctora {está} enferma")
    assert cancelled["cancelReasonLine"] == "\nMotivo: la doctora {está} enferma"


def test_the_client_s_own_answer_is_no_reason_to_repeat() -> None:
    assert words(status="CANCELLED", answer="no", cancel_reason="3")["cancelReasonLine"] == ""


def test_nothing_known_is_empty() -> None:
    unknown = words(address="", phone="", client=make_client("Laura", "", phone=None))
    for name in (
        "branchAddress",
        "branchPhone",
        "businessPhone",
        "clientPhone",
        "clientLastName",
        "oldDate",
        "manageUrl",
    ):
        assert unknown[name] == ""


def test_names_are_one_line_and_otherwise_untouched() -> None:
    name = "  Ana\n\nMar\u00eda \u200f\u0644\u064a\u0644\u0649\u200f {{x}} $& 🦷 "
    assert (
        words(client=make_client(name, ""))["clientFirstName"]
        == "Ana María \u200f\u0644\u064a\u0644\u0649\u200f {{x}} $& 🦷"
    )


def test_a_zone_that_does_not_exist() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        words(zone="America/Atlantis")
