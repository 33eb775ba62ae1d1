"""Clients, services, professionals and branches over the API; pages of lists."""

from datetime import datetime

from citaplanner_core.database import utcnow, work
from citaplanner_core.notifications.opt_outs import opt_out
from citaplanner_core.testing.factories import make_client
from tests.core.web.support import Api, Business, refusal


def test_a_client_is_made_and_read_again(api: Api) -> None:
    given = {
        "first_name": " Ana ",
        "last_name": "Pérez",
        "email": "ana@example.com",
        "phones": ["55 1234 5678", "+1 201 555 0123"],
        "language": "es",
        "birthday": "1990-02-28",
    }
    answer = api.post("/clients", given)
    assert answer.status_code == 201
    client = answer.json
    assert client["first_name"] == "Ana"
    assert [phone["e164"] for phone in client["phones"]] == ["+525512345678", "+12015550123"]
    assert (client["birthday"], client["active"]) == ("1990-02-28", True)
    assert api.get(f"/clients/{client['id']}").json == client


def test_a_client_is_changed_field_by_field(api: Api, business: Business) -> None:
    path = f"/clients/{business.client}"
    before = api.get(path).json
    changed = api.patch(path, {"last_name": "Ruiz", "email": None, "do_not_message": True}).json
    assert changed == before | {"last_name": "Ruiz", "email": None, "do_not_message": True}
    assert api.patch(path, {}).json == changed
    for given, field in (({"first_name": ""}, "first_name"), ({"first_name": "x" * 10_000}, "first_name")):
        assert refusal(api.patch(path, {"last_name": "Otra"} | given)) == (422, field)
    assert api.get(path).json == changed


def test_a_client_has_several_phones_with_labels(api: Api) -> None:
    phones = ["55 1234 5678", {"phone": "+1 201 555 0123", "label": " trabajo "}]
    client = api.post("/clients", {"first_name": "Ana", "phones": phones}).json
    assert [(phone["e164"], phone["label"]) for phone in client["phones"]] == [
        ("+525512345678", ""),
        ("+12015550123", "trabajo"),
    ]
    path = f"/clients/{client['id']}/phones"
    third = api.post(path, {"phone": "33 1234 5678", "label": "mamá"})
    assert (third.status_code, third.json["e164"]) == (201, "+523312345678")
    assert api.post(path, {"phone": "+52 1 33 1234 5678"}).json == third.json
    assert refusal(api.post(path, {"phone": "12"})) == (422, "phone")
    assert api.delete(f"{path}/{client['phones'][0]['id']}").status_code == 204
    assert api.delete(f"{path}/{client['phones'][0]['id']}").status_code == 404
    left = [phone["label"] for phone in api.get(f"/clients/{client['id']}").json["phones"]]
    assert left == ["trabajo", "mamá"]


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({}, "first_name"),
    ({"first_name": "  "}, "first_name"),
    ({"first_name": "Ana", "phones": ["12"]}, "phone"),
    ({"first_name": "Ana", "phones": "55 1234 5678"}, "phones"),
    ({"first_name": "Ana", "phones": [5512345678]}, "phones.0"),
    ({"first_name": "Ana", "phones": ["55\x00"]}, "phones.0"),
    ({"first_name": "Ana", "email": "nobody"}, "email"),
    ({"first_name": "Ana", "birthday": "2999-01-01"}, "birthday"),
    ({"first_name": "Ana", "birthday": 0}, "birthday"),
    ({"first_name": "Ana", "birthday": "28/02/1990"}, "birthday"),
    ({"name": "Ana"}, "first_name"),
]


def test_a_client_that_cannot_be_made_names_the_field(api: Api) -> None:
    for given, field in IMPOSSIBLE:
        assert refusal(api.post("/clients", given)) == (422, field), given
    assert len(api.get("/clients").json["items"]) == 1


def test_a_phone_finds_its_client_in_any_form(api: Api) -> None:
    ana = api.post("/clients", {"first_name": "Ana", "phones": ["55 1234 5678"]}).json["id"]
    bob = api.post("/clients", {"first_name": "Bob", "phones": ["+1 201 555 0123"]}).json["id"]
    forms = {
        ana: ["5512345678", "55 1234 5678", "(55) 1234-5678", "+52 55 1234 5678", "+5215512345678", "5215512345678"],
        bob: ["+1 201 555 0123", "+12015550123", "tel:+1-201-555-0123"],
    }
    for client, written in forms.items():
        for form in written:
            found = api.get("/clients", query_string={"phone": form}).json["items"]
            assert [item["id"] for item in found] == [client], form
            by_anything = api.get("/clients", query_string={"q": form}).json["items"]
            assert [item["id"] for item in by_anything] == [client], form
    assert [item["id"] for item in api.get("/clients?q=bó").json["items"]] == [bob]
    unencoded = api.get("/clients?phone=+12015550123").json["items"]
    assert [item["id"] for item in unencoded] == [bob]
    assert api.get("/clients?phone=5512345679").json == {"items": [], "next": None}


def test_a_family_that_shares_a_phone_is_found_together(api: Api) -> None:
    family = [
        api.post("/clients", {"first_name": name, "phones": ["55 1234 5678"]}).json["id"] for name in ("Ana", "Leo")
    ]
    assert [item["id"] for item in api.get("/clients?phone=5512345678").json["items"]] == family


def test_what_is_no_phone_finds_nobody_and_says_so(api: Api) -> None:
    for phone in ("", " ", "12", "ana", "%00", "%F0%9F%93%9E", "5" * 3000):
        answer = api.get(f"/clients?phone={phone}")
        assert refusal(answer) == (422, "phone"), phone
        assert "+52 55 1234 5678" in answer.json["detail"]


def test_lists_come_in_pages(business: Business, api: Api) -> None:
    with work(business.tenant) as session:
        made = [business.client, *(make_client(session).id for _ in range(4))]
    seen: list[list[int]] = []
    after: int | None = 0
    while after is not None:
        page = api.get(f"/clients?limit=2&after={after}").json
        seen.append([item["id"] for item in page["items"]])
        after = page["next"]
    assert seen == [made[:2], made[2:4], made[4:]]
    assert api.get(f"/clients?after={2**63 - 1}").json == {"items": [], "next": None}
    assert len(api.get("/clients?limit=200").json["items"]) == 5


def test_a_page_that_cannot_be_names_the_field(api: Api) -> None:
    wrong = {
        "limit": ["0", "201", "x", "", "1.5", "1&limit=2"],
        "after": ["-1", str(2**63), "9" * 400, "x"],
        "limt": ["5"],
    }
    for path in ("/appointments", "/clients", "/services", "/professionals", "/branches", "/closures", "/time-off"):
        for field, values in wrong.items():
            for value in values:
                assert refusal(api.get(f"{path}?{field}={value}")) == (422, field), (path, value)


def test_what_a_business_has(business: Business, api: Api) -> None:
    service = api.get("/services").json["items"][0]
    minutes = {"duration_minutes": 30, "buffer_before_minutes": 0, "buffer_after_minutes": 0, "is_discreet": False}
    assert service == {"id": business.service, "name": service["name"], "active": True} | minutes
    professional = api.get("/professionals").json["items"][0]
    assert professional == {"id": business.professional, "name": professional["name"], "active": True}
    branch = api.get("/branches").json["items"][-1]
    assert branch["id"] == business.branch
    assert (branch["zone"], branch["address"]) == ("America/Mexico_City", "Av. Ejemplo 123")


def test_stops_are_shown_in_their_words_and_taken_back(api: Api, business: Business) -> None:
    one = api.post("/clients", {"first_name": "Ana", "phones": ["55 1234 5678"]}).json["id"]
    two = api.post("/clients", {"first_name": "Beto", "phones": ["+52 55 1234 5678"]}).json["id"]
    at = utcnow().replace(microsecond=0)
    with work(business.tenant) as session:
        opt_out(session, channel="sms", words="BAJA", at=at, address="+5215512345678")
        opt_out(session, channel="sms", words="no promociones", at=at, address="+525512345679", scope="marketing")
    (shown,) = api.get(f"/clients/{two}/opt-outs").json["items"]
    assert (shown["channel"], shown["scope"], shown["words"]) == ("sms", "all", "BAJA")
    assert datetime.fromisoformat(shown["at"]) == at
    assert api("DELETE", f"/clients/{one}/opt-outs").json == {"items": []}
    assert api.get(f"/clients/{two}/opt-outs").json == {"items": []}
    assert api.get("/clients/999999/opt-outs").status_code == 404
    assert api("DELETE", "/clients/999999/opt-outs").status_code == 404
