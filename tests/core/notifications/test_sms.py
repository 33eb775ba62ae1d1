"""Text messages: the GSM alphabet and how many messages a text needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citaplanner_core.notifications.sms import EXTENDED, GSM, count_segments, fold

FITTING = st.text(st.sampled_from(sorted(GSM | EXTENDED)), max_size=400)


def test_the_alphabet_has_its_size() -> None:
    assert len(GSM) == 127  # and the escape
    assert len(EXTENDED) == 10


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Mañana a las 10:00 a.m. te atiende Zoë", "Mañana a las 10:00 a.m. te atiende Zoe"),
        ("Está a las 3 — ¿sí? ¡Órale!", "Esta a las 3 - ¿si? ¡Orale!"),
        ("pingüino, café, à la carte, Ñandú, SÉ", "pingüino, café, à la carte, Ñandu, SÉ"),
        ("“Ana” dijo: ‘va’…", "\"Ana\" dijo: 'va'..."),
        ("\u00a0Cita\u202f10:00", "Cita 10:00"),
        ("📅 Viernes 👩🏽‍⚕️ 10 ✔️", "Viernes 10"),
        ("1\ufe0f\u20e3 confirmar", "1 confirmar"),
        ("5° piso, depto. 3ª", "5o piso, depto. 3a"),
        ("Precio: 20 € [aprox.]", "Precio: 20 € [aprox.]"),
        ("Hola, ليلى, está lista", "Hola, ليلى, está lista"),
        ("dos  espacios\n  quedan", "dos  espacios\n  quedan"),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text())
def test_folding_is_all_or_nothing_and_done_once(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert folded == text or set(folded) <= GSM | EXTENDED


@given(FITTING)
def test_what_fits_is_left_alone(text: str) -> None:
    assert fold(text) == text


@pytest.mark.parametrize(
    ("text", "encoding", "characters", "segments"),
    [
        ("", "GSM-7", 0, 0),
        ("a", "GSM-7", 1, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        # 152 and an escape pair that would be cut: the pair goes over, so the third begins one place earlier
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),
        ("á" * 70, "UCS-2", 70, 1),
        ("á" * 71, "UCS-2", 71, 2),
        ("á" * 134, "UCS-2", 134, 2),
        ("á" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("á" * 66 + "😀" + "á" * 65, "UCS-2", 133, 2),
        ("á" * 66 + "😀" + "á" * 66, "UCS-2", 134, 3),
    ],
)
def test_segments(text: str, encoding: str, characters: int, segments: int) -> None:
    counted = count_segments(text)
    assert (counted.encoding, counted.characters, counted.segments) == (encoding, characters, segments)


@given(st.text(max_size=500))
def test_segments_hold_what_they_must(text: str) -> None:
    counted = count_segments(text)
    single, each = (160, 153) if counted.encoding == "GSM-7" else (70, 67)
    assert (counted.segments <= 1) == (counted.characters <= single)
    if counted.segments > 1:
        assert (counted.segments - 1) * (each - 1) < counted.characters <= counted.segments * each
