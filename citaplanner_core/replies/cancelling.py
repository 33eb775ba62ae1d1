"""When a message cancels beyond doubt: every word is understood, and none speaks against it."""

from collections.abc import Sequence

from citaplanner_core.replies.negation import RATHER
from citaplanner_core.replies.reading import Item
from citaplanner_core.replies.vocabulary import AROUND, BOUNDARIES, CANCELS, Kind

_ALWAYS_FIT: frozenset[Kind] = AROUND | {"cancel_polite", "drop", "want", "could", "object", "cant", "reason", "with", "name_next"}
# "Cancelo" is also how "canceló" (somebody cancelled) is often typed, and "I pay" in half of America.
_ALSO_PAST = frozenset(("cancelo", "anulo", "canselo"))
_MAKES_IT_PAST = frozenset(("me", "ya", "se", "les", "le", "si"))
_BID = frozenset(("cancela", "cancelala", "cancelalo", "cancelame"))
_GREETINGS = frozenset(("hola", "hi", "hello", "hey", "oi"))


def clearly_cancels(items: Sequence[Item]) -> bool:
    """Takes a message with its negations applied; a reason after "because" may hold words we do not know."""
    kinds = {item.kind for item in items}
    if not _asks_to_cancel(kinds, {item.word for item in items}):
        return False
    explained = False
    for i, item in enumerate(items):
        if item.kind == "because":
            explained = True
        elif not (explained and item.kind in ("unknown", "no", "date")) and not _fits(items, i, kinds):
            return False
    return True


def _asks_to_cancel(kinds: set[Kind], words: set[str]) -> bool:
    if "could" in kinds and "please" not in kinds:
        return False
    if "question" in kinds and not ("please" in kinds and ("could" in kinds or {"me"} <= words)):
        return False
    if "cancel" in kinds:
        return True
    if "drop" in kinds:
        return "object" in kinds
    return "cancel_polite" in kinds and "please" in kinds and "ya" not in words


def _fits(items: Sequence[Item], i: int, kinds: set[Kind]) -> bool:
    kind, word = items[i]
    after = items[i + 1] if i + 1 < len(items) else Item("stop", "")
    match kind:
        case "unknown":
            return _is_a_name(items, i)
        case "no":
            return i == 0 and _asks_instead(items)
        case "date":
            return "object" in kinds or _belongs_to_reason(items, i)
        case "place":
            return "object" in kinds
        case "glue":
            return word not in ("un", "una") or "object" in kinds
        case "but":
            return all(item.kind in AROUND for item in items[:i])
        case "propose":
            return word in RATHER
        case "title":
            return after.kind not in CANCELS
        case "yes":
            return word != "si" or _closes_yes(after)
        case "cancel":
            return not (word in _ALSO_PAST and i > 0 and (items[i - 1].kind == "date" or items[i - 1].word in _MAKES_IT_PAST))
        case "question":
            return "cancel_polite" in kinds or "could" in kinds
    return kind in _ALWAYS_FIT


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
    if not lead or end - first > 3 or len(items[i].word) < 3:
        return False
    next_ = items[end] if end < len(items) else Item("stop", "")
    if lead[-1].kind == "with":
        return next_.kind not in CANCELS
    if lead[-1].kind != "name_next" and lead[-1].word not in _GREETINGS:
        return False
    return next_.kind in BOUNDARIES or next_.kind in ("want", "polite", "cant", "reason") or next_.word == "y"


def _belongs_to_reason(items: Sequence[Item], i: int) -> bool:
    """Whether a day is the one the client cannot come, as in "I cannot come tomorrow, cancel"."""
    for step in (-1, 1):
        j = i + step
        while 0 <= j < len(items) and items[j].kind in ("date", "glue"):
            j += step
        if 0 <= j < len(items) and items[j].kind in ("cant", "reason"):
            return True
    return False
