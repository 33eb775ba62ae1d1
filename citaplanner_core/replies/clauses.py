"""What a message of several clauses comes to: people explain first, and say what they want in one clause of its own.

"Se me complicó, cancele", "no voy a ir, tengo fiebre", "no la mueva, ahí estaré": one clause decides, and must be
understood word by word; the others may hold words we do not know, but nothing that speaks against it.
"""

from collections.abc import Sequence

from citaplanner_core.replies.cancelling import clearly_cancels
from citaplanner_core.replies.negation import INFINITIVES, RATHER
from citaplanner_core.replies.reading import Item
from citaplanner_core.replies.vocabulary import AROUND, BOUNDARIES, CANCELS, MOVES, PHRASES, Kind

Clause = list[Item]

_LINKS = frozenset(("asi que", "asi es que", "por lo que", "por eso", "por lo tanto", "por ende", "entonces", "so"))
_CONTRARY = frozenset(("pero", "but", "porem"))
_ALSO_PAST = frozenset(
    "cancelo anulo canselo cancele anule cancelei cancelou cancelaron cancelamos cancelada cancelado canceled"
    " cancelled".split()
)
_AND = frozenset(("y", "e", "and"))
_DECIDING: frozenset[Kind] = CANCELS | {"cant", "attend", "confirm", "opt_out"}
_AGAINST_ANY: frozenset[Kind] = frozenset(
    ("question", "quoted", "if", "or", "hedge", "laugh", "who", "instead", "option")
)
_AGAINST_CANCELLING: frozenset[Kind] = (
    _AGAINST_ANY
    | MOVES
    | {
        *("attend", "confirm", "not_cancel", "not_move", "not_other", "propose", "misfit", "book", "human", "late"),
        *("info", "pay", "number", "opt_out", "opt_in", "marketing_out", "confirm_other", "move_other", "may"),
        *("cancel_other", "objects", "arrive"),
    }
)
_PLAIN: frozenset[Kind] = AROUND | {"glue", "object", "reason", "name_next"}
_STOPPING: frozenset[Kind] = AROUND | {"opt_out", "opt_in", "glue", "yes", "want"}
_AGAINST_STOPPING: frozenset[Kind] = (_AGAINST_ANY - {"who"}) | CANCELS | MOVES | {
    *("attend", "confirm", "not_other", "not_cancel", "human", "propose", "but", "marketing_out", "date", "minutes"),
    *("cant", "info", "late"),
}  # fmt: skip
_COMING: frozenset[Kind] = AROUND | {
    *("attend", "confirm", "yes", "glue", "object", "date", "place", "with", "relative", "name_next", "minutes"),
    *("want", "laugh", "not_cancel", "not_move", "number", "arrive"),
}  # fmt: skip
_SINCE_TAKEN_BACK = frozenset(
    "broma bromeando mentira mentiras cierto error equivoque espera espere esperen espereme digo ignora ignore caso"
    " dije dijo dicen decia dice mensaje opcion puse puso sale pone pique quieran quieras guste gusten kidding joking"
    " joke wait nevermind mistake".split()
)
"""In a clause beside the deciding one: what was said is taken back, somebody else's, or left to us."""
_SUBSTITUTES = frozenset(
    "lleva llevan llevara llevaran llevar acompana acompanan manda mando mandare ira iran va van voy vamos viene"
    " goes takes".split()
)
_CONDITIONS = frozenset(("si", "cuando", "aunque", "como", "donde", "when"))
_IF_IN_PORTUGUESE = frozenset("eu nao puder der for chover tiver conseguir voce voces ele ela quiser precisar".split())
"""What makes "se" the Portuguese "if": in Spanish it is a pronoun, and "se puso mala" tells what happened."""
_INTENDED = frozenset(("iba", "ibamos", "queria", "queriamos", "pensaba", "pense", "tenia"))
_NOT_A_DAY = frozenset(("ese dia", "esa hora", "ese horario", "esa fecha", "a las", "para las", "temprano", "ayer"))
_OPEN: frozenset[str] = frozenset(
    (
        *("no puedo", "no podemos", "no podria", "imposible", "no me es posible", "no es posible", "no sera posible"),
        *("no va a ser posible", "no me sera posible", "no se pudo", "no llego", "no llegamos", "no alcanzo"),
        *("no alcanzo a", "no alcanzo a llegar", "no alcanzo a ir", "cant", "i cant", "we cant", "cannot", "i cannot"),
        *("nao posso", "nao podemos"),
    )
)
"""Said of the hour as often as of the appointment: cancels only with a reason, and by itself is asked back."""
_PART_OF_DAY = ("en la", "por la", "de la", "a la", "las tardes", "las mananas", "tardes", "en las")
_NOT_ANY_MORE = frozenset(("ya no", "siempre no", "que siempre no"))
_ANSWERS = frozenset(("no", "nop", "nope", "nel", "ok"))
_OF_ANOTHER = frozenset(("un", "una", "tengo", "es", "este"))
_TO = frozenset(("a", "la", "al", "mi", "de", "to", "my", "the", "el"))
_OTHERS = (
    "va",
    "van",
    "viene",
    "vienen",
    "vendra",
    "vendran",
    "ira",
    "iran",
    "asistira",
    "asistiran",
    "podra",
    "podran",
    "acudira",
    "acudiran",
)
_MINE = frozenset("voy vamos puedo podemos podre podremos".split())
_BEING = frozenset(("estoy", "estamos", "salgo", "salimos", "estare"))
_TAKE_IT_OFF = [
    [verb + "la"] for verb in ("quite", "quiten", "quita", "borre", "borren", "borra", "elimine", "eliminen")
]
_WISHES = ("quiero", "quisiera", "prefiero", "necesito", "ocupo", "deseo", "me gustaria", "i want", "i need", "quero")
_ONLY = frozenset(("solo", "solamente", "nomas", "nada mas", "unicamente", "only", "just"))
_LATER_ON = ("comunico despues", "comunico luego", "comunico", "hablo", "marco", "llamo", "escribo", "aviso", "digo")


def split(items: Sequence[Item]) -> list[Clause]:
    """Cut at punctuation, at "but" and "so", and at an "and" that leads to what decides; marks stay with theirs."""
    clauses: list[Clause] = [[]]
    for i, item in enumerate(items):
        if item.kind == "but" or item.word in _LINKS or (item.word in _AND and _leads_on(items, i + 1)):
            clauses.append([])
        elif item.kind == "cant" and i and items[i - 1].kind in ("unknown", "reason") and _is_mine(item.word):
            clauses.append([])
        clauses[-1].append(item)
        if item.kind in BOUNDARIES:
            clauses.append([])
    return [clause for clause in clauses if clause and any(item.kind not in BOUNDARIES for item in clause)]


def _is_mine(verb: str) -> bool:
    """Whether only who writes can be meant, so that a comma is missing: "estoy en urgencias no voy a llegar"."""
    return verb.count(" ") > 1 and not _MINE.isdisjoint(verb.split())


def _leads_on(items: Sequence[Item], start: int) -> bool:
    for item in items[start : start + 4]:
        if item.kind in _DECIDING:
            return True
        if item.kind not in ("glue", "date", "want", "please", "no"):
            return False
    return False


def _words(clause: Sequence[Item]) -> set[str]:
    return {word for item in clause for word in item.word.split()}


def _is_conditional(clause: Sequence[Item]) -> bool:
    """Whether something hangs on this clause: "si llueve", not "sí, ..." and not "si iba a ir pero ..."."""
    said = [item for item in clause if item.kind not in ("polite", "title", "decor")]
    for i, (_, word) in enumerate(said[:-1]):
        after = said[i + 1]
        if word == "se" and after.word.split()[0] in _IF_IN_PORTUGUESE:
            return True
        hangs = after.kind not in BOUNDARIES | {"attend", "confirm", "yes"}
        if word in _CONDITIONS and hangs and after.word.split()[0] not in _INTENDED:
            return True
    return False


def _courteous(clause: Sequence[Item]) -> bool:
    return all(item.kind in AROUND or (item.kind == "glue" and item.word != "un") for item in clause)


def _speaks_against(clause: Clause, against: frozenset[Kind]) -> bool:
    if any(item.kind in against for item in clause) or _is_conditional(clause):
        return True
    words = _words([item for item in clause if item.kind != "cant" and item.word != "ni de broma"])
    if "se" in words:
        words.discard("puso")  # "se puso mala"
    return not _SINCE_TAKEN_BACK.isdisjoint(words)


def declines(items: Sequence[Item]) -> bool:
    """Tell whether a message says beyond doubt that the appointment is off because somebody does not come.

    "No voy a ir", "ya no, gracias", "tengo covid, no puedo ir". "No puedo" alone may be about the hour, and so may
    whatever names one; who comes instead, or at another time, keeps the appointment.
    """
    items = [
        Item("cant", item.word) if item.kind == "cancel" and item.word.startswith("ya no ") else item
        for item in items
        if item.word not in ("mejor", "melhor")
    ]
    if items and items[0].kind == "because":
        if items[0].word.startswith(("por", "xq", "pq", "xque", "be", "why")):
            return False  # "¿por qué ya no?"
        items = items[1:]
    clauses = split(items)
    at = next((i for i, clause in enumerate(clauses) if any(item.kind == "cant" for item in clause)), None)
    if at is None or not all(_is_a_refusal(c) for c in clauses if any(item.kind == "cant" for item in c)):
        return False
    refusals = [clause for clause in clauses if any(item.kind == "cant" for item in clause)]
    rest = [clause for clause in clauses if clause not in refusals]
    reported = [_without_report(clause) for clause in refusals]
    if any(_speaks_against(clause, _AGAINST_CANCELLING) for clause in reported) or any(map(_tells_against, rest)):
        return False
    if any(item.kind in CANCELS and item.word.endswith(INFINITIVES) for item in items):
        return False  # "cancelar no puedo"
    verbs = {item.word for clause in refusals for item in clause if item.kind == "cant"}
    explained = any(item.kind == "reason" for item in items)
    if verbs <= _OPEN and not (explained and all(item.kind != "date" for item in items)):
        return False
    elsewhere = any(verb.startswith(("ya ", "ya me ")) and " otr" in verb for verb in verbs)
    if elsewhere and not all(_courteous(clause) for clause in rest):
        return False
    somebody = any(word in verb.split() for verb in verbs for word in _OTHERS)
    return all(_only_explains(clause, i > at, somebody) for i, clause in enumerate(clauses) if clause in rest)


def _without_report(clause: Clause) -> Clause:
    """Cut "my wife says that" off the front: who is spoken for does not come."""
    head = [item.word for item in clause[:4]]
    reported = head[:1] in (["dice"], ["dicen"]) and head[1:2] == ["mi"] and head[3:4] == ["que"]
    return clause[4:] if reported and clause[2].kind == "relative" else clause


def _is_a_refusal(clause: Clause) -> bool:
    """Whether every word from the negation on is understood, and nothing before it changes whose or what it is."""
    clause = _without_report(clause)
    at = next(i for i, item in enumerate(clause) if item.kind == "cant")
    verb = clause[at].word
    before, after = clause[:at], clause[at + 1 :]
    if verb.startswith(("no pude", "no pudimos")):
        return False  # that was another time
    while before and before[-1].kind in ("date", "relative", "glue", "title", "because") and before[-1].word != "que":
        if before[-1].kind == "title" and len(before) > 1 and before[-2].word in ("la", "el"):
            return False  # it is the doctor who does not come
        before = before[:-1]
    linked = len(before) < at and clause[len(before)].word in _AND
    if before and before[-1].word == "que" and any(i.kind == "unknown" for i in before):
        return False
    answered = all(i.kind in AROUND or i.word in _ANSWERS for i in before)
    if not answered and any(i.word == "no" for i in before):
        return False
    if not linked and not answered and any(i.kind in ("unknown", "no", "with", "yes") for i in before):
        return False
    days = [item for item in clause if item.kind == "date"]
    if any(item.word in _NOT_A_DAY or any(c.isdigit() for c in item.word) for item in days):
        return False
    if days and all(item.word.startswith(_PART_OF_DAY) for item in days):
        return False
    if verb in _OPEN and days:
        return False
    others = any(word in _OTHERS for word in verb.split())
    if others and any(item.kind == "title" and after[i - 1].word in ("la", "el") for i, item in enumerate(after) if i):
        return False  # "no va a estar la doctora"
    if PHRASES.get(verb) == "cant_open":
        to_it = verb not in _NOT_ANY_MORE and any(item.kind == "object" for item in after)
        return all(
            item.kind in AROUND or (to_it and (item.kind in ("object", "date") or item.word in _TO)) for item in after
        )
    fits = all(item.kind in _PLAIN or item.kind == "date" for item in after)
    return fits and all(item.word not in _OF_ANOTHER for item in after)


def _only_explains(clause: Clause, follows: bool, somebody: bool) -> bool:
    kinds = {item.kind for item in clause}
    if _courteous(clause):
        return True
    if follows and any(item.kind == "want" and item.word.startswith(_WISHES) for item in clause):
        return False
    if follows and not _ONLY.isdisjoint(item.word for item in clause[:2]):
        return False  # of what there is to do, something stays: "ya no quiero el tinte, solo el corte"
    if not _SUBSTITUTES.isdisjoint(_words(clause)):
        return "mi lugar" in {item.word for item in clause}
    if follows:
        if kinds & {"yes", "but", "place"} or ("relative" in kinds and "reason" not in kinds):
            return False
        if "date" in kinds and not kinds & {"unknown", "reason", "not_confirm"}:
            return False
        if somebody and "relative" in kinds:
            return False
    return clause[0].kind != "yes" or not follows


def orders_cancelling(items: Sequence[Item]) -> bool:
    """Tell whether the last clause asks to cancel and the ones before only say why, or refuse something else."""
    clauses = split(items)
    while clauses and _courteous(clauses[-1]):
        clauses.pop()
    if not clauses:
        return False
    end = len(clauses)
    while end > 1 and _gives_a_reason(clauses[end - 1]):
        end -= 1
    last, before = _without_aside(clauses[end - 1]), clauses[: end - 1]
    if before and last and (last[0].word in _CONTRARY | _LINKS | _AND):
        last = last[1:]
    if any((item.kind in _AGAINST_CANCELLING and item.word not in RATHER) or item.kind == "unknown" for item in last):
        return False
    if not _asks(last, explained=bool(before), reason_follows=end < len(clauses)):
        return False
    instead = any(item.word in RATHER for item in last)
    for clause in before:
        if _tells_against(clause) or (_courteous_no(clause) and not instead):
            return False
        if any(item.kind == "cant" for item in clause) and any(item.kind == "yes" for item in clause):
            return False
    return True


def _tells_against(clause: Clause) -> bool:
    """Whether a clause before an order to cancel is more than why: who says no to something may name anything."""
    against = set(_AGAINST_CANCELLING)
    if _is_of_another_thing(clause):
        against.discard("cancel_other")
    if any(item.kind in ("cant", "no", "not_other") for item in clause):
        against -= {"pay", "objects", "arrive"}
    told = [item for item in clause if item.word not in ("mejor", "melhor")]
    if all(item.kind != "minutes" for item in clause):
        told = [item for item in told if item.word not in _BEING]
    return _speaks_against(told, frozenset(against))


def wants_something_else(items: Sequence[Item]) -> bool:
    """Tell whether a clause beside the one that cancels says what is wanted: "…, quiero con la doctora"."""
    for clause in split(items):
        kinds = {item.kind for item in clause}
        if (
            "want" in kinds
            and kinds.isdisjoint(CANCELS | {"drop"})
            and kinds & {"with", "title", "unknown", "relative", "place"}
        ):
            return True
    return False


def _gives_a_reason(clause: Clause) -> bool:
    """Whether a clause after an order can only be why: "cancélela, ya no vivo ahí"."""
    kinds = {item.kind for item in clause}
    opens = clause[0].kind in ("because", "reason", "cant") or clause[0].word == "ya no"
    if not opens or kinds & {"but", "yes", "no", "relative"} or _speaks_against(clause, _AGAINST_CANCELLING):
        return False
    return kinds.isdisjoint(CANCELS) and _SUBSTITUTES.isdisjoint(_words(clause))


def _without_aside(clause: Clause) -> Clause:
    """Cut what somebody promises to do later off the end of an order: "cancélela, yo luego le hablo"."""
    end = len(clause)
    while end and clause[end - 1].kind in AROUND:
        end -= 1
    aside = end and clause[end - 1].kind == "later" and clause[end - 1].word.endswith(_LATER_ON)
    if not aside or " " not in clause[end - 1].word:
        return clause
    end -= 2 if clause[end - 2].word == "yo" else 1
    return clause[:end] + [item for item in clause[end:] if item.kind == "please"]


def _asks(last: Clause, *, explained: bool, reason_follows: bool) -> bool:
    if clearly_cancels(last):
        return True
    # "Cancele" by itself is how "cancelé" is often typed; after a reason, or with what is to go, it is an order.
    said = [item for item in last if item.kind not in AROUND]
    rather = any(item.word in RATHER for item in said)
    said = [item for item in said if item.word not in RATHER | {"pues", "entonces"}]
    said = [item for item in said if item.kind != "date" or not any(i.kind == "object" for i in said)]
    if reason_follows and [item.kind for item in said] == ["cancel_polite"] and " mi " in said[0].word:
        return True
    if explained and [item.word for item in said] in _TAKE_IT_OFF:
        return True
    if not said or said[0].kind != "cancel_polite" or "ya" in _words(last):
        return False
    if any(item.word.startswith(("un", "otr", "su")) for item in said[1:]):
        return False
    named = any(item.kind == "object" for item in said)
    return (explained or rather or named) and {item.kind for item in said[1:]} <= {"object", "glue"}


def _is_of_another_thing(clause: Clause) -> bool:
    return any(item.kind == "unknown" for item in clause) and all(item.kind != "object" for item in clause)


def _courteous_no(clause: Clause) -> bool:
    thanked = any(item.word.startswith("gracias") for item in clause)
    return (
        not thanked
        and any(item.kind == "no" for item in clause)
        and all(item.kind in AROUND | {"no"} for item in clause)
    )


def promises_to_come(items: Sequence[Item]) -> bool:
    """Tell whether the last clause says that somebody comes, and none before it asks, doubts or wants another time."""
    clauses = split(items)
    while clauses and _courteous(clauses[-1]):
        clauses.pop()
    if len(clauses) < 2 and not (clauses and any(item.kind.startswith("not_") for item in clauses[0])):
        return False
    last, before = clauses[-1], clauses[:-1]
    if last[0].kind == "but" or last[0].word in _LINKS:
        contrast, last = True, last[1:]
    else:
        contrast = False
    kinds = {item.kind for item in last}
    if not kinds & {"attend", "confirm"} or sum(item.kind == "unknown" for item in last) > 1:
        return False
    if any(item.kind not in _COMING | {"unknown"} for item in last) or _is_conditional(last):
        return False
    for clause in before:
        if _is_conditional(clause) or any(
            item.kind in _AGAINST_ANY | {"late", "opt_out", "human", "info", "pay"} for item in clause
        ):
            return False
        kinds_before = {item.kind for item in clause}
        of_another_thing = _is_of_another_thing(clause)
        cancels = {item.word for item in clause if item.kind in CANCELS}
        if "misfit" in kinds_before or (cancels and not (of_another_thing and cancels <= _ALSO_PAST)):
            return False
        wants = kinds_before & (MOVES | {"another", "propose"})
        refuses = "cant" in kinds_before and (_is_a_refusal(clause) and not contrast)
        if wants or refuses or ("date" in kinds and kinds_before & {"cant", "no", "not_confirm"} and not contrast):
            return False
        if "date" in kinds and "date" in kinds_before and kinds_before & {"cant", "no"}:
            return False
    return True


def asks_to_stop(items: Sequence[Item], kind: Kind, *, asked: bool = False) -> bool:
    """Tell whether one clause asks for it (`kind`: opt_out or opt_in) in plain words, and the others only say why."""
    clauses = split(items)
    asking = [clause for clause in clauses if any(item.kind == kind for item in clause)]
    stopping = set(_STOPPING)
    if kind == "opt_in":
        stopping.add("because")
        asking = [clause[1:] if clause[0].kind == "but" else clause for clause in asking]
        if asked:
            stopping.add("question")
    if not asking or any(item.kind not in stopping for clause in asking for item in clause):
        return False
    if not {"solo", "solamente", "nomas", "unicamente", "nada", "menos", "excepto", "only", "just"}.isdisjoint(
        word for clause in clauses for item in clause if item.kind != kind for word in item.word.split()
    ):
        return False
    others = [clause for clause in clauses if all(item.kind != kind for item in clause)]
    if kind == "opt_in":
        return not any(
            _is_conditional(clause) or any(item.kind in _AGAINST_STOPPING for item in clause) for clause in others
        )
    return not any(_speaks_against(clause, _AGAINST_STOPPING) for clause in others)
