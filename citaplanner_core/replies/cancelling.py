"""When a message cancels beyond doubt: every word is understood, and none speaks against it."""

from collections.abc import Sequence

from citaplanner_core.replies.negation import INFINITIVES, RATHER
from citaplanner_core.replies.reading import Item
from citaplanner_core.replies.vocabulary import AROUND, BOUNDARIES, CANCELS, Kind

_ALWAYS_FIT: frozenset[Kind] = AROUND | {"cancel_polite", "drop", "want", "could", "object", "reason", "name_next"}
_REASONS: frozenset[Kind] = _ALWAYS_FIT | {"unknown", "no", "cant", "date", "place", "glue", "yes", "with"}
# "Cancelo" is also how "canceló" (somebody cancelled) is often typed, and "I pay" in half of America.
_ALSO_PAST = frozenset(("cancelo", "anulo", "canselo"))
_MAKES_IT_PAST = frozenset(("me", "ya", "se", "les", "le", "si"))
_BID = frozenset(("cancela", "cancelala", "cancelalo", "cancelame", "cancel", "cancel it"))
_NAMING = ("cita", "consulta", "reserva", "reservacion", "sesion", "visita", "agenda", "turno")
_DAYS_OWN = frozenset(("todays", "tomorrows", "mondays", "tuesdays", "wednesdays", "thursdays", "fridays", "saturdays"))
_GREETINGS = frozenset(("hola", "hi", "hello", "hey", "oi"))


def clearly_cancels(items: Sequence[Item]) -> bool:
    """Takes a message with its negations applied; a reason after "because" may hold words we do not know."""
    kinds = {item.kind for item in items}
    if not _asks_to_cancel(kinds, {item.word for item in items}):
        return False
    explained = False
    for i, item in enumerate(items):
        if item.kind == "because":
            explained = explained or not CANCELS.isdisjoint(before.kind for before in items[:i])
        elif not (_explains(item) if explained else _fits(items, i, kinds)):
            return False
    return True


def _explains(item: Item) -> bool:
    if item.kind == "propose":
        return item.word.startswith(("hay", "queda", "tiene"))
    return item.kind in _REASONS


def _asks_to_cancel(kinds: set[Kind], words: set[str]) -> bool:
    if "question" in kinds and not ("please" in kinds and ("could" in kinds or "me" in words)):
        return False
    if "could" in kinds and kinds.isdisjoint(("please", "cant", "reason")):
        return False
    if "cancel" in kinds:
        return True
    if "drop" in kinds:
        return "object" in kinds and "date" not in kinds
    return "cancel_polite" in kinds and "please" in kinds and "ya" not in words


def _fits(items: Sequence[Item], i: int, kinds: set[Kind]) -> bool:
    kind, word = items[i]
    after = items[i + 1] if i + 1 < len(items) else Item("stop", "")
    match kind:
        case "unknown":
            return _is_a_name(items, i) or _is_the_service(items, i) or _of_the_service(items, i - 1)
        case "no":
            return i == 0 and _asks_instead(items)
        case "date":
            return _names_the_appointment(items) or _of_the_service(items, i) or _belongs_to_reason(items, i)
        case "place":
            return "object" in kinds
        case "glue":
            return word not in ("un", "una") or "object" in kinds
        case "but":
            return word in ("pero", "but", "porem") and i > 0 and all(item.kind in AROUND for item in items[:i])
        case "with":
            return after.kind in ("unknown", "title") or after.word in ("la", "el")
        case "cant":
            return not _follows_infinitive(items, i)
        case "propose":
            return word in RATHER
        case "late":
            return word.startswith("se me hizo")
        case "title":
            return after.kind not in CANCELS and not _is_the_subject(items, i)
        case "yes":
            kept = i > 0 and items[i - 1].kind in ("date", "object")  # "la de las 4 sí"
            return word != "si" or (_closes_yes(after) and not kept)
        case "cancel":
            return word not in _ALSO_PAST or not _may_be_past(items, i)
        case "question":
            return "cancel_polite" in kinds or "could" in kinds
    return kind in _ALWAYS_FIT


def _names_the_appointment(items: Sequence[Item]) -> bool:
    return any(item.kind == "object" or (item.kind == "cancel" and item.word.endswith(_NAMING)) for item in items)


def _of_the_service(items: Sequence[Item], i: int) -> bool:
    """Whether a day and the word after it name one's own appointment: "cancel tomorrow's cleaning"."""
    if i < 1 or items[i].word not in _DAYS_OWN or items[i - 1].kind != "cancel" or i + 1 >= len(items):
        return False
    return all(item.kind in AROUND for item in items[i + 2 :])


def _is_the_subject(items: Sequence[Item], i: int) -> bool:
    """Whether "the doctor" does the cancelling: not greeted, and no "with" before it."""
    return i > 0 and items[i - 1].word in ("la", "el") and (i < 2 or items[i - 2].kind != "with")


def _may_be_past(items: Sequence[Item], i: int) -> bool:
    start, end = i, i + 1
    while start and items[start - 1].kind not in BOUNDARIES:
        start -= 1
    while end < len(items) and items[end].kind not in BOUNDARIES:
        end += 1
    if any(item.kind == "date" for item in items[start:i]):
        return True
    return any(item.word in _MAKES_IT_PAST or item.kind == "title" for item in items[start:end])


def _follows_infinitive(items: Sequence[Item], i: int) -> bool:
    """ "Cancelar no puedo" is "I cannot cancel" with its words turned round."""
    for kind, word in reversed(items[:i]):
        if kind in BOUNDARIES:
            return False
        if kind in CANCELS:
            return word.endswith(INFINITIVES)
    return False


def _closes_yes(after: Item) -> bool:
    """Whether a "si" is "yes" rather than "if", judged by what it runs into."""
    if after.kind == "cancel":
        return not after.word.endswith("o")
    return after.kind in AROUND or after.kind in ("yes", "propose")


def _asks_instead(items: Sequence[Item]) -> bool:
    """A first "no" that answers us and is followed by what is wanted instead: "no, mejor cancela"."""
    said = next((item for item in items[1:] if item.kind not in ("polite", "comma", "stop")), None)
    if said is None:
        return False
    return said.word in RATHER or (said is not items[1] and said.word in _BID)


def _is_a_name(items: Sequence[Item], i: int) -> bool:
    """Whether an unknown word stands where names do: "hello Ana, ...", "I am Ana Luz and ...", "with Ana"."""
    first, end = i, i + 1
    while first and items[first - 1].kind in ("unknown", "title"):
        first -= 1
    while end < len(items) and items[end].kind in ("unknown", "title"):
        end += 1
    lead = [item for item in items[:first] if item.word not in ("la", "el")]
    if end - first > 3 or len(items[i].word) < 3:
        return False
    next_ = items[end] if end < len(items) else Item("stop", "")
    if not lead:
        return items[first].kind == "title" and next_.kind == "comma"
    if lead[-1].kind == "with":
        return next_.kind not in CANCELS
    if lead[-1].kind != "name_next" and lead[-1].word not in _GREETINGS:
        return False
    return next_.kind in BOUNDARIES or next_.kind in ("want", "polite", "reason") or next_.word == "y"


def _is_the_service(items: Sequence[Item], i: int) -> bool:
    """Whether an unknown word says what one's own appointment is for: "mi cita de corte de pelo"."""
    while i > 2 and items[i].kind == "unknown" and items[i - 1].word == "de":
        i -= 2
    return items[i].kind == "object" and items[i - 1].word == "mi"


def _belongs_to_reason(items: Sequence[Item], i: int) -> bool:
    """Whether a day is the one the client cannot come, as in "I cannot come tomorrow, cancel"."""
    for step in (-1, 1):
        j = i + step
        while 0 <= j < len(items) and items[j].kind in ("date", "glue"):
            j += step
        if 0 <= j < len(items) and items[j].kind in ("cant", "reason"):
            return True
    return False
