"""Phone numbers as people write them and channels report them. All numbers are made up or reserved for fiction."""

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from citaplanner_core.phones import PhoneNumber, mask, parse_phone, search_variants

MEXICAN = "+525512345678"
ARGENTINE, ARGENTINE_MOBILE = "+541123456789", "+5491123456789"
BRAZILIAN, BRAZILIAN_LANDLINE = "+5511987654321", "+551132165432"
AMERICAN = "+12015550123"
LONDON = "+442079460018"

# (text, region, match key); region None is an id from a messaging channel.
READ: dict[str, list[tuple[str, str | None, str]]] = {
    "Mexico: ids": [
        ("5215512345678", None, MEXICAN),
        ("+5215512345678", None, MEXICAN),
        ("525512345678", None, MEXICAN),
        ("00525512345678", None, MEXICAN),
        ("5215512345678", "US", MEXICAN),
        ("525512345678", "BR", MEXICAN),
    ],
    "Mexico: typed": [
        ("5512345678", "MX", MEXICAN),
        ("5512345678", "mx", MEXICAN),
        ("(55) 1234-5678", "MX", MEXICAN),
        ("55.1234.5678", "MX", MEXICAN),
        ("1 55 1234 5678", "MX", MEXICAN),
        ("01 55 1234 5678", "MX", MEXICAN),
        ("02 55 1234 5678", "MX", MEXICAN),
        ("0445512345678", "MX", MEXICAN),
        ("045-55-1234-5678", "MX", MEXICAN),
        ("+52 044 55 1234 5678", "MX", MEXICAN),
        ("+52 045 55 1234 5678", None, MEXICAN),
        ("+52 (01) 55 1234 5678", "US", MEXICAN),
        ("(+52) 55 1234 5678", "MX", MEXICAN),
        ("+(52) 1 55 1234 5678", "MX", MEXICAN),
        ("52 55 1234 5678", "MX", MEXICAN),
        ("52 1 55 1234 5678", "MX", MEXICAN),
        ("00 52 1 55 1234 5678", "MX", MEXICAN),
        ("+0052 55 1234 5678", "MX", MEXICAN),
        ("044 998 123 4567", "MX", "+529981234567"),
        ("01 800 123 4567", "MX", "+528001234567"),
    ],
    "Argentina": [
        ("5491123456789", None, ARGENTINE),
        ("541123456789", None, ARGENTINE),
        ("11 2345-6789", "AR", ARGENTINE),
        ("011 2345-6789", "AR", ARGENTINE),
        ("011 15 2345-6789", "AR", ARGENTINE),
        ("11 15 2345 6789", "AR", ARGENTINE),
        ("15 11 2345 6789", "AR", ARGENTINE),
        ("9 11 2345 6789", "AR", ARGENTINE),
        ("0 9 11 2345 6789", "AR", ARGENTINE),
        ("+54 (011) 15-2345-6789", None, ARGENTINE),
        ("+54 9 11 15 2345 6789", "AR", ARGENTINE),
        ("+54 9 011 15 2345 6789", "AR", ARGENTINE),
        ("00 54 9 11 2345 6789", "ES", ARGENTINE),
        ("0351 15 456-7891", "AR", "+543514567891"),
        ("+54 9 0351 456 7891", None, "+543514567891"),
        ("(02901) 15-41-2345", "AR", "+542901412345"),
        ("+54 9 2901 15 412345", None, "+542901412345"),
        ("0800 555 1234", "AR", "+548005551234"),
    ],
    "Brazil": [
        ("5511987654321", None, BRAZILIAN),
        ("551187654321", None, BRAZILIAN),
        ("551187654321", "MX", BRAZILIAN),
        ("(11) 98765-4321", "BR", BRAZILIAN),
        ("(11) 8765-4321", "BR", BRAZILIAN),
        ("0 11 98765 4321", "BR", BRAZILIAN),
        ("021 11 98765-4321", "BR", BRAZILIAN),
        ("0 41 11 8765-4321", "BR", BRAZILIAN),
        ("(0xx11) 98765-4321", "BR", BRAZILIAN),
        ("+55 (0)11 8765-4321", "BR", BRAZILIAN),
        ("+55 015 11 98765-4321", None, BRAZILIAN),
        ("551132165432", None, BRAZILIAN_LANDLINE),
        ("015 11 3216-5432", "BR", BRAZILIAN_LANDLINE),
        ("+55 11 3216-5432", "AR", BRAZILIAN_LANDLINE),
        ("+55 11 7812-3456", None, "+551178123456"),
        ("55 99123-4567", "BR", "+5555991234567"),
        ("55 9912-3456", "BR", "+5555999123456"),
        ("555599123456", None, "+5555999123456"),
        ("55 3222-1234", "BR", "+555532221234"),
        ("0021 52 55 1234 5678", "BR", MEXICAN),
        ("00 1 201 555 0123", "BR", AMERICAN),
    ],
    "Italy and Ivory Coast": [
        ("347 123 4567", "IT", "+393471234567"),
        ("0347 1234567", "IT", "+393471234567"),
        ("+39 (0)347 1234567", "CH", "+393471234567"),
        ("0039 347 1234567", "IT", "+393471234567"),
        ("39 347 1234567", "IT", "+393471234567"),
        ("+39 6 1234 5678", None, "+390612345678"),
        ("39 06 1234 5678", "IT", "+390612345678"),
        ("390612345678", None, "+390612345678"),
        ("07 12 34 56 78", "CI", "+2250712345678"),
        ("2250712345678", None, "+2250712345678"),
    ],
    "Colombia, Chile, Benin, Peru, Uruguay": [
        ("1 234 5678", "CO", "+576012345678"),
        ("5712345678", None, "+576012345678"),
        ("03 300 123 4567", "CO", "+573001234567"),
        ("00 57 301 234 5678", "CO", "+573012345678"),
        ("09 8765 4321", "CL", "+56987654321"),
        ("+56 09 8765 4321", None, "+56987654321"),
        ("(2) 2123 4567", "CL", "+56221234567"),
        ("97 12 34 56", "BJ", "+2290197123456"),
        ("22921301234", None, "+2290121301234"),
        ("01 234 5678", "PE", "+5112345678"),
        ("+51 0 999 123 456", None, "+51999123456"),
        ("59899123456", "UY", "+59899123456"),
        ("+598 (0)99 123 456", None, "+59899123456"),
    ],
    "Elsewhere": [
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("8 912 345 67 89", "KZ", "+79123456789"),
        ("+7 8 701 123 45 67", None, "+77011234567"),
        ("8~10 44 20 7946 0018", "RU", LONDON),
        ("0412 345 678", "AU", "+61412345678"),
        ("0011 47 923 45 678", "AU", "+4792345678"),
        ("00 1 201 555 0123", "AU", AMERICAN),
        ("090-1234-5678", "JP", "+819012345678"),
        ("010 44 20 7946 0018", "JP", LONDON),
        ("119 1 201 555 0123", "CU", AMERICAN),
        ("00 1 201 555 0123", "HK", AMERICAN),
        ("0171/1234567", "DE", "+491711234567"),
        ("4915123456789", "DE", "+4915123456789"),
        ("01 23 45 67 89", "FR", "+33123456789"),
        ("+34 (0)600 123 456", None, "+34600123456"),
        ("600123456", "ES", "+34600123456"),
        ("34600123456", "MX", "+34600123456"),
    ],
    "United States": [
        ("(201) 555-0123", "US", AMERICAN),
        ("1-201-555-0123", "US", AMERICAN),
        ("011 44 20 7946 0018", "US", LONDON),
        ("00 44 20 7946 0018", "US", LONDON),
        ("+1 (201) 555-0123", "MX", AMERICAN),
        ("7378742833", "US", "+17378742833"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+1 800 Flowers", None, "+18003569377"),
        ("201-555-HELP", "US", "+12015554357"),
    ],
    "Channel ids": [
        ("5215512345678@s.whatsapp.net", None, MEXICAN),
        ("5215512345678:7@s.whatsapp.net", None, MEXICAN),
        ("5215512345678_1:7@S.WhatsApp.net", None, MEXICAN),
        ("525512345678@c.us", None, MEXICAN),
        ("12015550123@c.us", "MX", AMERICAN),
        ("5215512345678:12", None, MEXICAN),
        ("whatsapp:+525512345678", "US", MEXICAN),
        ("whatsapp:551187654321", None, BRAZILIAN),
        ("tel:+52-55-1234-5678", None, MEXICAN),
        ("tel:201-555-0123;phone-context=+1", None, AMERICAN),
    ],
    "Characters": [
        ("\u202a+52 55 1234 5678\u202c", None, MEXICAN),
        ("\ufeff55\u20111234\u20115678\u200b", "MX", MEXICAN),
        ("+52–55–1234–5678", None, MEXICAN),
        ("55\u00a01234\u20095678", "MX", MEXICAN),
        ("55−1234·5678", "MX", MEXICAN),
        ("＋５２（１）５５１２３４－５６７８", None, MEXICAN),
        ("٥٥١٢٣٤٥٦٧٨", "MX", MEXICAN),
        ("+۵۲۵۵۱۲۳۴۵۶۷۸", None, MEXICAN),
        ("५५१२३४५६७८", "MX", MEXICAN),
        ("5️⃣5️⃣ 1️⃣2️⃣3️⃣4️⃣ 5️⃣6️⃣7️⃣8️⃣", "MX", MEXICAN),
        ("０３ー１２３４ー５６７８", "JP", "+81312345678"),
        (" \t5512345678\r\n", "MX", MEXICAN),
    ],
    "Spreadsheets": [
        ("'5512345678", "MX", MEXICAN),
        ("’+52 55 1234 5678", None, MEXICAN),
        ('="5512345678"', "MX", MEXICAN),
        ("5512345678.0", "MX", MEXICAN),
        ("5215512345678,00", None, MEXICAN),
    ],
    "Labels": [
        ("Tel. 55 1234 5678", "MX", MEXICAN),
        ("Tel./Cel.: (55) 1234 5678", "MX", MEXICAN),
        ("WhatsApp: +52 1 55 1234 5678", "MX", MEXICAN),
        ("TELÉFONO MÓVIL 5512345678", "MX", MEXICAN),
        ("Tel5512345678", "MX", MEXICAN),
        ("📱 55 1234 5678", "MX", MEXICAN),
        ("5512345678 (WhatsApp)", "MX", MEXICAN),
    ],
}

REFUSED: dict[str, list[tuple[str | None, str | None]]] = {
    "nothing there": [(None, None), (None, "MX"), ("", None), ("  ", "MX"), ("+", None), ("n/a", "MX"), ("???", "MX")],
    "local, without an area code": [
        ("1234 5678", "MX"),
        ("555-0123", "US"),
        ("15 2345-6789", "AR"),
        ("+54 9 2345 6789", None),
        ("98765-4321", "BR"),
        ("3216-5432", "BR"),
        ("234 5678", "CO"),
        ("2123 4567", "CL"),
    ],
    "wrong length or country": [
        ("521512345678", None),
        ("+52 55 1234 567", "MX"),
        ("55123456789", "MX"),
        ("55119876543210", None),
        ("+52", "MX"),
        ("07 12 34 56", "CI"),
        ("0" * 250, "MX"),
        ("5512345678 " * 30, "MX"),
    ],
    "national forms from a channel": [
        ("5512345678", None),
        ("044 55 1234 5678", None),
        ("89123456789", None),
        ("5512345678@s.whatsapp.net", "MX"),
    ],
    "unknown region": [("5512345678", "XX")],
    "placeholders": [
        ("0000000000", "MX"),
        ("9999999999", "MX"),
        ("044 55 5555 5555", "MX"),
        ("5215555555555", None),
        ("22222222", "CO"),
        ("1234567890", "BR"),
        ("12 3456-7890", "BR"),
    ],
    "short and service codes": [
        ("911", "MX"),
        ("262966", None),
        ("431234", None),
        ("*86", "MX"),
        ("*67 55 1234 5678", "MX"),
        ("#31#5512345678", "MX"),
    ],
    "hidden callers and sender names": [
        ("+7378742833", None),
        ("+86282452253", None),
        ("266696687", None),
        ("Anonymous", "US"),
        ("Uber", None),
        ("BBVA24", "MX"),
        ("BANCO5512345678", "MX"),
        ("5512345678a", "MX"),
        ("client:525512345678", None),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "MX"),
    ],
    "ids without a phone": [
        ("525512345678@lid", None),
        ("525512345678:3@lid", "MX"),
        ("525512345678@hosted.lid", None),
        ("525512345678@g.us", None),
        ("525512345678-1390000000@g.us", None),
        ("status@broadcast", None),
        ("525512345678@broadcast", None),
        ("525512345678@newsletter", None),
        ("5512345678@example.com", "MX"),
        ("MX.5512345678", "MX"),
        ("es.12015550123", None),
        ("whatsapp:US.ENT.11815799212886844830", None),
        ("12345678901234567", None),
    ],
    "digits lost": [("5.51234E+09", "MX"), ("5,512345678E9", "MX"), ("5.25512E+11", None), ("55e8", "MX")],
    "two numbers": [
        ("55 1234 5678 / 55 8765 4321", "MX"),
        ("5512345678, 5587654321", "MX"),
        ("5512345678 y 5587654321", "MX"),
        ("5512345678 5587654321", "MX"),
        ("5512345678\n5587654321", "MX"),
        ("55 1234 5678 (cel) / 8765 4321", "MX"),
        ("+525512345678+525587654321", None),
        ("234-5678/234-5679", "PA"),
    ],
}


def _parsed(text: str, region: str | None = None) -> PhoneNumber:
    phone = parse_phone(text, region)
    assert phone is not None, f"{text!r} in {region} was not read"
    return phone


@pytest.mark.parametrize(("text", "region", "key"), [row for rows in READ.values() for row in rows])
def test_every_way_of_writing_a_number_gives_one_key(text: str, region: str | None, key: str) -> None:
    phone = _parsed(text, region)
    assert phone.match_key == key
    assert phone.raw == text


@pytest.mark.parametrize(("text", "region"), [row for rows in REFUSED.values() for row in rows])
def test_what_is_no_phone_or_only_a_guess_is_refused(text: str | None, region: str | None) -> None:
    assert parse_phone(text, region) is None


@pytest.mark.parametrize(
    ("text", "region", "dialled"),
    [
        ("011 15 2345-6789", "AR", ARGENTINE_MOBILE),
        ("15 11 2345-6789", "AR", ARGENTINE_MOBILE),
        ("+54 9 011 2345-6789", None, ARGENTINE_MOBILE),
        ("5491123456789", None, ARGENTINE_MOBILE),
        ("011 2345-6789", "AR", ARGENTINE),
        ("5215512345678", None, MEXICAN),
        ("551187654321", None, BRAZILIAN),
    ],
)
def test_e164_is_what_one_dials(text: str, region: str | None, dialled: str) -> None:
    assert _parsed(text, region).e164 == dialled


@pytest.mark.parametrize(
    ("text", "region", "confidence"),
    [
        ("55 1234 5678", "MX", "high"),
        ("(415) 123-4567", "MX", "high"),
        ("044 55 1234 5678", "MX", "high"),
        ("5215512345678", None, "high"),
        ("Cel: 55 1234 5678", "MX", "high"),
        ("5512345678 cel.", "MX", "high"),
        ("01 800 123 4567", "MX", "high"),
        ("2015550123", "MX", "low"),
        ("1 201 555 0123", "MX", "low"),
        ("+52 201 555 0123", "MX", "high"),
        ("5491123456789", None, "high"),
        ("541123456789", None, "medium"),
        ("11 2345 6789", "AR", "medium"),
        ("0800 555 1234", "AR", "high"),
        ("5511987654321", None, "high"),
        ("551187654321", None, "medium"),
        ("551132165432", None, "high"),
        ("+39 6 1234 5678", None, "medium"),
        ("525512345678", "ES", "medium"),
        ("525512345678", "MX", "high"),
        ("9 8765 4321", "CL", "high"),
        ("8765 4321", "CL", "low"),
        ("+56 8765 4321", None, "low"),
        ("1-800-FLOWERS", "US", "low"),
    ],
)
def test_only_a_doubtful_reading_has_low_confidence(text: str, region: str | None, confidence: str) -> None:
    assert _parsed(text, region).confidence == confidence


@pytest.mark.parametrize(
    "text",
    [
        "55-1234-5678 (mamá)",
        "mamá: 55 1234 5678",
        "Tel. de la vecina 55 1234 5678",
        "55 1234 5678 casa",
        "55 1234 5678 de 9 a 18",
        "Cel 2: 55 1234 5678",
        "+52 1 55 1234 5678 - esposo",
    ],
)
def test_a_note_beside_the_number_keeps_it_from_linking_by_itself(text: str) -> None:
    phone = _parsed(text, "MX")
    assert (phone.match_key, phone.confidence) == (MEXICAN, "low")


@pytest.mark.parametrize(
    "written",
    [
        "{} ext. 45",
        "{} Ext 45",
        "{} EXT.: 45",
        "{} extensión 45",
        "{} extension 45",
        "{}, ext. 45",
        "{} (ext. 45)",
        "{}x45",
        "{} X 45",
        "{} #45",
        "{}#45",
        "{},,45",
        "{};45",
        "{};ext=45",
        "{} int. 45",
        "{} interno 45",
        "{} ramal 45",
        "{} anexo 45",
        "{} доб. 45",
    ],
)
@pytest.mark.parametrize(
    ("number", "region", "key"), [("201-555-0123", "US", AMERICAN), ("+52 55 1234 5678", None, MEXICAN)]
)
def test_an_extension_is_kept_apart_and_never_links(written: str, number: str, region: str | None, key: str) -> None:
    phone = _parsed(written.format(number), region)
    assert (phone.match_key, phone.extension, phone.confidence) == (key, "45", "low")


@pytest.mark.parametrize(
    ("text", "region", "variants"),
    [
        ("55 1234 5678", "MX", (MEXICAN, "+5215512345678")),
        ("+5491123456789", None, (ARGENTINE_MOBILE, ARGENTINE)),
        ("+541123456789", None, (ARGENTINE, ARGENTINE_MOBILE)),
        ("0800 555 1234", "AR", ("+548005551234",)),
        ("11 98765-4321", "BR", (BRAZILIAN, "+551187654321")),
        ("551187654321", None, (BRAZILIAN, "+551187654321")),
        ("11 3216-5432", "BR", (BRAZILIAN_LANDLINE,)),
        # Without its 9 this one would be somebody's landline, that one a trunked radio.
        ("11 95123-4567", "BR", ("+5511951234567",)),
        ("11 97123-4567", "BR", ("+5511971234567",)),
        ("+229 01 97 12 34 56", None, ("+2290197123456", "+22997123456")),
        ("(201) 555-0123", "US", (AMERICAN,)),
    ],
)
def test_other_systems_are_searched_under_each_form_they_may_hold(
    text: str, region: str | None, variants: tuple[str, ...]
) -> None:
    assert search_variants(_parsed(text, region)) == variants


def test_a_mask_shows_the_country_and_the_end() -> None:
    assert mask("+525512345678") == "+52***78"
    assert mask("5512345") == "***"
    assert mask("") == "***"


# --- What holds for every number -----------------------------------------------------------------------

KINDS = (
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.VOIP,
)
EXAMPLES = [
    (region, example)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in KINDS
    if (example := phonenumbers.example_number_for_type(region, kind))
]
REPAIRED_REGIONS = {"MX", "AR", "BR", "IT", "CO", "CL", "BJ", "PE", "UY", "CI", "RU", "KZ", "AU", "JP", "US"}
FORMATS = (
    PhoneNumberFormat.E164,
    PhoneNumberFormat.INTERNATIONAL,
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.RFC3966,
)


@st.composite
def valid_numbers(draw: st.DrawFn) -> tuple[str, phonenumbers.PhoneNumber]:
    """An example number of some country with other last digits: (region, library number)."""
    favoured = [row for row in EXAMPLES if row[0] in REPAIRED_REGIONS]
    region, example = draw(st.one_of(st.sampled_from(favoured), st.sampled_from(EXAMPLES)))
    national = phonenumbers.national_significant_number(example)
    tail = draw(st.text("0123456789", min_size=1, max_size=6))
    national = national[: -len(tail)] + tail if len(tail) < len(national) else national
    number = phonenumbers.parse(f"+{example.country_code}{national}")
    assume(phonenumbers.is_valid_number(number))
    assume(len(set(national)) > 1)
    return region, number


def _holds_everywhere(region: str, number: phonenumbers.PhoneNumber) -> None:
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    phone = _parsed(e164)
    key = phone.match_key
    assert phone.e164 == e164
    assert _parsed(key).match_key == key
    assert {_parsed(phonenumbers.format_number(number, form), region).match_key for form in FORMATS} == {key}

    variants = search_variants(phone)
    assert variants[0] == e164
    assert key in variants
    for variant in variants:
        assert variant.startswith("+")
        assert _parsed(variant).match_key == key
        assert _parsed(variant[1:]).match_key == key
        assert _parsed(f"{variant[1:]}@s.whatsapp.net", "US").match_key == key


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_the_example_numbers_of_every_country_keep_their_key(region: str) -> None:
    for country, number in EXAMPLES:
        if country == region:
            _holds_everywhere(region, number)


@given(valid_numbers())
def test_any_number_keeps_its_key_through_every_form(region_and_number: tuple[str, phonenumbers.PhoneNumber]) -> None:
    _holds_everywhere(*region_and_number)


@given(
    st.one_of(
        st.none(),
        st.text(st.characters(exclude_categories=())),
        st.text("0123456789 +-()/.,;:#*x@extEabsu.whatsappnet", max_size=40),
        st.from_regex(r"\+?(52|54|55|39|57|56|229|0|00|011)?[0-9 ]{0,16}", fullmatch=True),
    ),
    st.sampled_from([None, "", "XX", *sorted(REPAIRED_REGIONS)]),
)
def test_any_text_gives_none_or_a_key_that_is_its_own_key(text: str | None, region: str | None) -> None:
    phone = parse_phone(text, region)
    if phone is not None:
        assert phone.e164.startswith("+")
        assert 8 <= len(phone.match_key) <= 16
        assert _parsed(phone.match_key).match_key == phone.match_key
        assert _parsed(phone.e164).match_key == phone.match_key


@given(st.text("0123456789 -()/", min_size=1, max_size=30))
def test_bare_digits_from_a_channel_are_never_national(digits: str) -> None:
    phone = parse_phone(digits)
    international = parse_phone("+" + digits)
    assert (phone and phone.match_key) == (international and international.match_key)
