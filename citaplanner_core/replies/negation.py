"""What words mean by those around them: above all which verbs a "no" or an "I cannot" reaches."""

from collections.abc import Sequence

from citaplanner_core.replies.reading import Item
from citaplanner_core.replies.vocabulary import AROUND, BOUNDARIES, CANCELS, MOVES, Kind

RATHER = frozenset(("mejor", "prefiero", "melhor", "prefiro"))
INFINITIVES = ("ar", "arla", "arlo", "arme", "armela")
_LINKS = frozenset(("y", "e", "entonces", "pues", "asi", "and", "so"))
_LEADS = _LINKS | {"asi que", "asi es que", "por eso", "pero", "but"}
_EVEN_IF = frozenset(("aunque", "although", "even if", "even though", "nomas que", "solo que"))
_TAKES_BACK: frozenset[Kind] = CANCELS | MOVES | {
    *("cant", "hedge", "late", "propose", "question", "misfit", "or", "later", "date", "not_confirm", "number"),
}  # fmt: skip
_NOT_GOING = frozenset(("no voy", "ya no voy", "siempre no voy", "no vamos", "ya no vamos"))
"""Before an order they can only be about coming: "hoy no voy, canceleme" typed without its comma."""
_BIDDING = ("eme", "ame", "enme", "ela", "ala", "enla")
_OF_LITTLE_REACH = frozenset(("unknown", "date", "propose"))


def with_negations(items: Sequence[Item]) -> list[Item]:
    """Puts each "no" on the verbs it reaches ("no cancelen" becomes `not_cancel`); one that reaches none stays.

    Cancelling is reached to the end of the clause, other verbs only as far as no unknown word stands between.
    """
    result = list(items)
    for i, (kind, word) in enumerate(items):
        if kind not in ("no", "cant", "cant_open"):
            continue
        reached = [j for j in _clause_after(items, i) if _negate(items, i, j, result)]
        if kind == "cant_open" and not reached and word in ("ya no", "siempre no") and _goes_on(items, i + 1):
            result[i] = Item("glue", word)  # "ya no me duele" is about something else
        elif kind == "cant_open":
            result[i] = Item("glue" if reached else "cant", word)
        elif kind == "no" and reached:
            result[i] = Item("glue", word)
    return result


def _goes_on(items: Sequence[Item], start: int) -> bool:
    """Whether a verb we do not know follows."""
    return next((item.kind in ("unknown", "name_next") for item in items[start:] if item.kind != "glue"), False)


def _clause_after(items: Sequence[Item], i: int) -> range:
    for j in range(i + 1, len(items)):
        if items[j].kind in BOUNDARIES or items[j].kind in ("but", "because"):
            return range(i + 1, j)
    return range(i + 1, len(items))


def _negate(items: Sequence[Item], i: int, j: int, result: list[Item]) -> bool:
    negation, between, (verb, word) = items[i], items[i + 1 : j], items[j]
    if verb in CANCELS or verb == "drop":
        if _leaves_cancelling(negation, between, word):
            return False
        result[j] = Item("not_cancel", word)
        return True
    if negation.kind == "cant" or any(item.kind in _OF_LITTLE_REACH for item in between):
        return False
    if verb in MOVES:
        result[j] = Item("not_move", word)
    elif verb == "confirm":
        result[j] = Item("not_confirm", word)
    elif verb == "attend" and negation.kind == "no":
        result[j] = Item("cant", word)
    elif verb in ("human", "late", "opt_out", "opt_in"):
        result[j] = Item("not_other", word)
    else:
        return False
    return True


def _leaves_cancelling(negation: Item, between: Sequence[Item], verb: str) -> bool:
    """Whether the negation speaks of coming, and a request to cancel follows it without a comma.

    "No puedo ir cancela" asks to cancel, "no puedo cancelar" does not; "no mejor cancela" answers no, then asks.
    """
    if negation.kind == "no":
        return bool(between) and between[0].word in RATHER
    please = any(item.kind == "please" for item in between)
    linked = any(item.word in _LINKS for item in between)
    bidden = not verb.endswith((*INFINITIVES, "o"))
    if negation.word in _NOT_GOING and not any(item.word == "a" for item in between):
        return verb.endswith(_BIDDING)
    if negation.kind == "cant":
        return bidden or please or (linked and any(item.kind == "want" for item in between))
    return negation.word != "ya no" and bidden and (please or linked)


def _stands_alone_at_the_end(items: Sequence[Item], i: int) -> bool:
    return i > 0 and items[i - 1].kind in BOUNDARIES and all(item.kind in AROUND for item in items[i + 1 :])


def in_context(items: list[Item]) -> list[Item]:
    """Settles words by what stands with them.

    "Si puedo" is yes unless something hangs on it, "al rato" is later unless it is when we meet, and "¿puede…, por
    favor?" asks us rather than whether one may.
    """
    kinds = {item.kind for item in items}
    result = list(items)
    for i, (kind, word) in enumerate(items):
        if (
            kind == "hedge"
            and word == "si puedo"
            and (
                _stands_alone_at_the_end(items, i) or not kinds & (CANCELS | {"attend", "confirm", "arrive", "unknown"})
            )
        ):
            result[i] = Item("yes", word)
        elif kind == "may" and word in ("puede", "podria", "podra") and "please" in kinds:
            result[i] = Item("could", word)
        elif kind == "later" and word in ("luego", "despues", "al rato", "mas al rato") and "attend" in kinds:
            result[i] = Item("glue", word)
        elif kind == "unknown" and word in ("voy", "vamos") and _is_all_that_is_said(items, i):
            result[i] = Item("attend", word)
    return result


def _is_all_that_is_said(items: Sequence[Item], i: int) -> bool:
    """Whether a verb fills its clause, but for a day: "ya no me duele, voy el jueves"."""
    before = items[i - 1] if i else None
    opens = before is None or before.kind in BOUNDARIES or before.kind == "yes" or before.word in _LEADS
    end = next((j for j in range(i + 1, len(items)) if items[j].kind in BOUNDARIES), len(items))
    if end < len(items) and items[end].kind == "question":
        return False
    after = items[i + 1 : end]
    return opens and all(item.kind in AROUND | {"date"} or item.word in ("el", "como quedamos") for item in after)


def without_concession(items: list[Item]) -> list[Item]:
    """Cut what somebody comes in spite of: "ahí estaré aunque llueva"."""
    at = next((i for i, item in enumerate(items) if item.word in _EVEN_IF), 0)
    if not at or {item.kind for item in items[:at]}.isdisjoint(("attend", "confirm")):
        return items
    end = next((j for j in range(at, len(items)) if items[j].kind in BOUNDARIES), len(items))
    if any(item.kind in _TAKES_BACK for item in items[at + 1 : end]):
        return items
    return items[:at] + items[end:]
