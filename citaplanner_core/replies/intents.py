"""What a client means by an answer. Rules only: the same words always give the same intent.

A message cancels, or ends all messages, only when every word of the clause that says so is understood, and nothing
beside it speaks against that; one word too many and the answer is `ask`. Confirming and moving are easily undone, and
tolerate more.
"""

from dataclasses import dataclass
from typing import Literal

from citaplanner_core.replies.cancelling import clearly_cancels
from citaplanner_core.replies.clauses import (
    asks_to_stop,
    declines,
    orders_cancelling,
    promises_to_come,
    wants_something_else,
)
from citaplanner_core.replies.negation import in_context, with_negations, without_concession
from citaplanner_core.replies.reading import Item, read
from citaplanner_core.replies.vocabulary import AROUND, BOUNDARIES, CANCELS, MOVES, Kind

IntentName = Literal["confirm", "cancel", "reschedule", "human", "opt_out", "opt_in", "late", "info", "ask", "unknown"]
OPTIONS: dict[str, IntentName] = {"1": "confirm", "2": "reschedule", "3": "cancel", "4": "human"}

_MANY_WORDS = 60
_CAN_I = frozenset(
    (
        "puedo",
        "podria",
        "puede",
        "se puede",
        "se podria",
        "se podra",
        "no se puede",
        "no se podria",
        "no se podra",
        "can i",
        "could i",
        "posso",
        "da pra",
        "da para",
    )
)
_STOPPING: frozenset[Kind] = AROUND | {"opt_out", "opt_in", "glue", "yes", "want"}
_AGREEING: frozenset[Kind] = AROUND | {
    "yes", "glue", "laugh", "object", "objects", "date", "name_next", "with", "want", "unknown", "not_cancel",
    "arrive", "place", "relative",
}  # fmt: skip
_SUPPOSING = frozenset(("si", "if", "como", "how"))
_NOTING: frozenset[Kind] = AROUND | {"yes", "glue", "laugh", "object", "date"}
_MEDICAL = frozenset(("medica", "medico", "dental"))
"""A "baja médica" is a sick note."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What was meant, and how sure that is: nearly 1.0 for a number we offered, less for free words."""

    name: IntentName
    confidence: float


def parse(text: str | None, *, language: str | None = None, question: str | None = None) -> Intent:
    """Reads a client's answer.

    `language` is the client's (``"es-MX"``, ``"pt"``); all three languages are always understood, it only settles
    words they share. `question` is what we sent last: ``"confirm"`` (1 confirm, 2 another time, 3 cancel,
    4 a person), ``"reminder"`` (asks nothing) or None; a number, "yes" or "ok" answers only a question.
    Never raises; what nobody can act on is ``unknown``, what is about the appointment but not clear is ``ask``.
    """
    reading = read(text or "", (language or "")[:2].lower())
    if not reading.items:
        return Intent("unknown", 1.0)
    if reading.long or len(reading.items) > _MANY_WORDS:
        return _from_long_text(reading.items)
    if reading.alone in ("opt_out", "opt_in"):
        return Intent(reading.alone, 0.99)
    items = reading.items
    if reading.alone:
        items = [Item(reading.alone, "")] + [item for item in items if item.kind == "please"]
    message = _Message(items, question, reading.misspelled)
    return message.picked() or message.intent()


def _from_long_text(items: list[Item]) -> Intent:
    kinds = {item.kind for item in items}
    if "human" in kinds:
        return Intent("human", 0.6)
    about = CANCELS | MOVES | {"confirm", "attend", "cant", "object", "late", "info", "opt_out"}
    return Intent("ask", 0.5) if kinds & about else Intent("unknown", 0.5)


class _Message:
    """One short message, its negations applied, and the questions the rules put to it."""

    def __init__(self, items: list[Item], question: str | None, misspelled: bool) -> None:
        self.items = without_concession(in_context(with_negations(items)))
        self.kinds = {item.kind for item in self.items}
        self.unknown = sum(item.kind == "unknown" for item in self.items)
        self.question = question
        self.asked = question == "confirm"
        self.told = question in ("confirm", "reminder")
        self.misspelled = misspelled

    def has(self, *kinds: Kind) -> bool:
        return not self.kinds.isdisjoint(kinds)

    def sure(self, confidence: float) -> float:
        context = {"confirm": 0.0, "reminder": 0.05}.get(self.question or "", 0.15)
        return round(max(0.3, confidence - context - 0.05 * self.unknown - 0.1 * self.misspelled), 2)

    def picked(self) -> Intent | None:
        """The option whose number was sent, if there was a question and nothing else in the message disagrees."""
        numbers = {item.word for item in self.items if item.kind == "number"}
        if self.asked and (number := self._the_first_or_second()):
            return Intent(OPTIONS[number], 0.95)
        if not self.asked or len(numbers) != 1 or self._counts():
            return None

        option = OPTIONS.get(numbers.pop())
        if option is None:
            return None
        if self.has("or", "question", "quoted"):
            return Intent("ask", 0.5)
        if first := self._asked_first():
            return first
        if self.has("no"):
            return Intent("ask", 0.5)
        rest = [
            item
            for i, item in enumerate(self.items)
            if item.kind not in ("number", "option")
            and not (item.word in ("la", "el", "es", "quiero") and self.has("option"))
            and not (item.word == "la" and self.items[i + 1 : i + 2] and self.items[i + 1].kind == "number")
        ]
        kinds = {item.kind for item in rest}
        if any(item.word in ("es", "is") for item in rest):
            return Intent("ask", 0.5)
        if kinds <= AROUND:
            return Intent(option, 0.98)
        if option == "reschedule" and kinds <= AROUND | MOVES | {"date", "propose", "want", "glue", "object"}:
            return Intent(option, 0.9)
        if {i.kind for i in rest} <= AROUND | {"reason", "because", "glue"} and self.items[0].kind == "number":
            return Intent(option, 0.9)
        said = _Message(rest, self.question, self.misspelled).intent()
        if said.name == option:
            return Intent(option, 0.95)
        return said if said.name in ("human", "late", "info", "opt_out") else Intent("ask", 0.5)

    def _counts(self) -> bool:
        """Whether the number says how many or which floor beside a plain answer: "confirmo 2 personas"."""
        if not self.has("confirm", "attend") or self.kinds & CANCELS | self.kinds & MOVES:
            return False
        at = next(i for i, item in enumerate(self.items) if item.kind == "number")
        beside = self.items[max(0, at - 1) : at + 2]
        return any(item.kind in ("unknown", "relative") for item in beside)

    def _the_first_or_second(self) -> str | None:
        """ "El uno", or an option by itself after asking what it stands for: "¿con el 1 confirmo? pues 1"."""
        marks = [i for i, item in enumerate(self.items[:-1]) if item.kind == "question"]
        start = marks[-1] + 1 if marks else 0
        said = [
            item for item in self.items[start:] if item.kind not in AROUND and item.word not in ("pues", "entonces")
        ]
        named = [item.word for item in said if item.kind in ("number", "date")]
        if len(named) != 1 or named[0] not in ("1", "2") or self.has("no", "or", "quoted"):
            return None
        if marks:
            numbers = {item.word for item in self.items[:start] if item.word.isdigit()}
            return named[0] if len(said) == 1 and numbers == set(named) else None
        return named[0] if [item.word for item in said] == ["el", named[0]] else None

    def _asked_first(self) -> Intent | None:
        """ "2 por favor, no me dan permiso el jueves": an option by itself, and then why another time is wanted."""
        if self.items[0].kind != "number" or self.items[0].word != "2":
            return None
        end = next((i for i, item in enumerate(self.items) if item.kind in BOUNDARIES), len(self.items))
        alone = all(item.kind in AROUND for item in self.items[1:end])
        if not alone or self.kinds <= AROUND | {"number"} or self.kinds & CANCELS:
            return None
        if self.has("confirm", "attend", "late", "human", "opt_out", "if", "hedge"):
            return None
        return Intent("reschedule", 0.85)

    def intent(self) -> Intent:
        for rule in (
            self._stop_or_start, self._late_anyway, self._human, self._instead, self._cancel, self._decline,
            self._come, self._early, self._late, self._move, self._unfit, self._cannot_come, self._info,
            self._undecided, self._confirms_then_asks, self._wondering, self._denied, self._confirm,
        ):  # fmt: skip
            if found := rule():
                return found
        about = (
            self.has("object", "objects", "book", "confirm_other", "move_other")
            or (self.told and self.has("date", "propose", "move_weak", "reason", "arrive"))
            or (self.asked and self.has("number", "yes"))
        )
        return Intent("ask", 0.4) if about else Intent("unknown", 0.6)

    def _ask(self) -> Intent:
        return Intent("ask", 0.7)

    def _stop_or_start(self) -> Intent | None:
        if "marketing_out" in self.kinds:
            return Intent("unknown", 0.5)  # see `details.ends_marketing`
        for name in ("opt_out", "opt_in"):
            if name in self.kinds:
                words = {item.word for item in self.items}
                asked = any(word.startswith(("me p", "nos p")) for word in words)
                asks = _STOPPING | {"question"} if asked else _STOPPING
                if self.misspelled or words & _MEDICAL:
                    return Intent("ask" if "object" in self.kinds else "unknown", 0.5)
                if self.kinds <= asks or asks_to_stop(self.items, name, asked=asked):
                    return Intent(name, 0.95)
                appointment = CANCELS | MOVES | {"confirm", "attend", "cant", "object"}
                return Intent("ask" if self.kinds & appointment else "unknown", 0.5)
        return None

    def _human(self) -> Intent | None:
        return Intent("human", self.sure(0.95)) if "human" in self.kinds else None

    def _cancel(self) -> Intent | None:
        if not self.kinds & CANCELS and not self.has("drop"):
            return None
        clear = clearly_cancels(self.items) or (
            self.told and (orders_cancelling(self.items) or self._no_longer_wants_it())
        )
        if clear and not self.misspelled and not wants_something_else(self.items):
            return Intent("cancel", self.sure(0.95 if "object" in self.kinds or self.asked else 0.9))
        if not self.kinds & CANCELS and "object" not in self.kinds:
            return None
        if self._comes():
            return self._come()
        costs = self.has("pay") or any(
            item.word.startswith(("cuant", "how much", "quanto", "hasta c")) for item in self.items
        )
        if self.asked and not self.misspelled and self._may_i_because():
            return Intent("cancel", self.sure(0.8))
        asks = costs and self.has("info", "question")
        supposes = any(item.word.startswith(("si ", "como ")) or item.word in _SUPPOSING for item in self.items)
        return Intent("info", 0.6) if asks or (supposes and "question" in self.kinds) else self._ask()

    def _no_longer_wants_it(self) -> bool:
        """ "Ya no ocupo la cita, encontré otro dentista": the only word for cancelling is one of not wanting it."""
        said = [item for item in self.items if item.kind in CANCELS]
        return all(item.word.startswith("ya no ") for item in said) and declines(self.items)

    def _may_i_because(self) -> bool:
        """ "¿Puedo cancelar? Es que me salió trabajo" gives the reason, and so asks for it rather than about it."""
        end = next((i for i, item in enumerate(self.items) if item.kind in BOUNDARIES), 0)
        head, why = self.items[:end], self.items[end + 1 :]
        asked = {item.kind for item in head} <= {"may", "cancel", "object", "glue", "polite", "please", "title"}
        may = any(item.word in _CAN_I for item in head) and any(item.kind == "cancel" for item in head)
        plain = {item.kind for item in why} <= AROUND | {"because", "reason", "glue", "cant"}
        return asked and may and plain and any(item.kind == "reason" for item in why)

    def _comes(self) -> bool:
        return promises_to_come(self.items)

    def _come(self) -> Intent | None:
        if not self._comes() or not (self.told or self.has("confirm", "object")):
            return None
        return Intent("confirm", self.sure(0.95))

    def _decline(self) -> Intent | None:
        if self.misspelled or not (self.told or "object" in self.kinds):
            return None
        return Intent("cancel", self.sure(0.9)) if declines(self.items) else None

    def _instead(self) -> Intent | None:
        """ "Cancel this one and give me another day": the appointment is to move."""
        if (
            not self.kinds & CANCELS
            or not self.told
            or self.has("or", "if", "question", "quoted", "hedge", "laugh", "no")
        ):
            return None
        at = next(i for i, item in enumerate(self.items) if item.kind in CANCELS)
        after = self.items[at + 1 :]
        links = [i for i, item in enumerate(after) if item.word in ("y", "e", "and") or item.kind in BOUNDARIES]
        if not links or self.items[at].kind == "cancel_other" or self.unknown > 2 or self.has("attend", "confirm"):
            return None
        wanted = {item.kind for item in after[links[0] + 1 :]}
        gives = "another" in wanted or "move" in wanted or "carry" in wanted and "date" in wanted
        return Intent("reschedule", self.sure(0.75)) if gives else None

    def _early(self) -> Intent | None:
        """ "Llego 10 minutos antes", "llego un poco antes" promise to come."""
        early = any(item.word in ("antes", "before", "early") for item in self.items)
        before = any(
            item.kind == "another" and item.word.endswith("antes") and self.items[i - 1].kind == "arrive"
            for i, item in enumerate(self.items)
        )
        if not self.told or not (before or (early and self.has("arrive") and self.has("minutes"))):
            return None
        if self.has("question", "may", "could", "propose", "cant", "no", "if", "or", "hedge"):
            return None
        if self.unknown > 2 or (self.has("another") and not before):
            return None
        return Intent("confirm", self.sure(0.85))

    def _late_anyway(self) -> Intent | None:
        """Coming late is said beyond doubt, whatever else is told or asked."""
        said = any(
            item.kind == "late" and item.word not in ("tarde", "transito", "retraso", "late") for item in self.items
        )
        if (
            not said
            or self.kinds & (CANCELS | MOVES) - {"another"}
            or self.has("hedge", "misfit", "propose", "or", "later")
        ):
            return None
        if self.has("cant", "opt_out") or any(
            item.word.startswith("no ") and item.kind == "late" for item in self.items
        ):
            return None
        return Intent("late", self.sure(0.9)) if self.told or self.has("late") else None

    def _late(self) -> Intent | None:
        early = any(item.word in ("antes", "before", "early", "temprano") for item in self.items)
        soon = self.has("minutes") and not early and (self.has("arrive") or (self.told and not self.unknown))
        if "late" not in self.kinds and (not soon or self.kinds & MOVES):
            return None
        if (
            self.kinds & MOVES
            or self.has("cant", "hedge")
            or ("no" in self.kinds and not soon)
            or (self.has("later") and not self.has("minutes"))
        ):
            return self._ask()
        return Intent("late", self.sure(0.95))

    def _moves(self) -> bool:
        if "move" in self.kinds:
            return True
        if "carry" in self.kinds and self.has("date", "another"):
            return True
        if "another" in self.kinds:
            return not self.has("pay", "later") and self.unknown <= 4
        if "move_weak" not in self.kinds:
            return False
        if self.has("object", "date", "propose") or not self.unknown and self.asked:
            return True
        return any(item.kind == "move_weak" and item.word.endswith(("la", "lo", " it")) for item in self.items)

    def _move(self) -> Intent | None:
        if self._moves():
            doubts = any(item.kind == "hedge" and not item.word.startswith("si ") for item in self.items)
            if self.has("question") and (self.has("pay") or any(i.word.endswith("costo") for i in self.items)):
                return Intent("info", self.sure(0.7))
            until = self.has("if") and all(i.word in ("hasta que", "until") for i in self.items if i.kind == "if")
            if doubts or self.has("or", "quoted", "late", "not_move", "pay") or (self.has("if") and not until):
                return self._ask()
            if self.has("confirm") or (self.has("attend") and not self.has("but", "cant")):
                return self._ask()
            return Intent("reschedule", self.sure(0.95))
        return self._ask() if "not_move" in self.kinds and not self.has("confirm", "attend") else None

    def _cannot_come(self) -> Intent | None:
        if "cant" not in self.kinds:
            return None
        at = next(i for i, item in enumerate(self.items) if item.kind == "cant")
        later = {item.kind for item in self.items[at + 1 :]}
        clause_ended = any(item.kind in BOUNDARIES for item in self.items[at + 1 : -1])
        offers = (
            self.has("propose")
            or "yes" in later
            or "but" in later
            or "hedge" in later
            or clause_ended
            and "question" in later
        )
        elsewhere = self.has("book") and any(item.word.startswith(("otra", "nueva", "a new")) for item in self.items)
        day_asked = self.has("date") and (self.has("propose") or ("may" in later and "date" in later))
        if (elsewhere or offers and "date" in later or day_asked) and not self.has("or", "if", "quoted"):
            return Intent("reschedule", self.sure(0.75))
        return self._ask()

    def _unfit(self) -> Intent | None:
        """The day or hour does not suit, and no doubt is put on coming."""
        if "misfit" not in self.kinds or not self.told or self.has("or", "if", "quoted", "confirm", "opt_out", "who"):
            return None
        for i, item in enumerate(self.items):
            # "este no" is about the day only where nothing follows: "este no es mi número"
            short = item.kind == "misfit" and item.word.count(" ") == 1
            if short and any(after.kind not in AROUND for after in self.items[i + 1 : i + 2]):
                return None
        return Intent("reschedule", self.sure(0.8))

    def _info(self) -> Intent | None:
        if "info" not in self.kinds:
            asks = self.has("pay") and self.has("question") and self.has("may", "could")
            return Intent("info", self.sure(0.8)) if asks and not self.has("object") else None
        if self.has("hedge") and self.has("yes", "attend") or self.has("attend") and not self.has("question"):
            return self._ask()
        return Intent("info", self.sure(0.95))

    def _undecided(self) -> Intent | None:
        if (
            self.asked
            and self.has("confirm_other")
            and self.has("please")
            and self.kinds <= AROUND | {"confirm_other", "yes"}
        ):
            return Intent("confirm", self.sure(0.85))  # "confírmame, por favor" asks us to put the name down
        if not self.has("hedge", "later", "but", "or", "if", "instead", "quoted", "confirm_other"):
            return None
        if self.has("instead") and self.has("date") and not self.has("or", "if", "quoted"):
            return Intent("reschedule", self.sure(0.7))
        if self.has("but") and self.has("yes", "attend") and self.has("date", "propose") and not self.has("confirm"):
            return Intent("reschedule", self.sure(0.65))
        if self.has("later") and self.has("propose"):
            return Intent("reschedule", self.sure(0.65))
        if self.told or self.has("object", "confirm", "confirm_other", "attend"):
            return self._ask()
        return Intent("unknown", 0.6)

    def _wondering(self) -> Intent | None:
        asking = self.has("question", "may", "could")
        if self.has("propose") and self.has("date") and not self.has("confirm", "attend") and not self._refuses_last():
            return Intent("reschedule", self.sure(0.8)) if self.told else self._ask()
        if not asking:
            return None
        if self.asked and self.has("date") and self._offers():
            return Intent("reschedule", self.sure(0.7))
        if self.has("confirm", "attend", "not_cancel", "not_confirm") or self.asked and self.has("yes", "no"):
            return self._ask()
        if self.has("objects", "book"):
            return self._ask()
        if self.has("object") or (self.told and self.has("date")):
            return Intent("info", self.sure(0.6))
        denied = any(item.kind == "no" and item.word != "sin" for item in self.items)
        if "question" in self.kinds and self.unknown > 1 and not denied and not self.has("who", "laugh", "opt_in"):
            return Intent("info", 0.5)
        return Intent("unknown", 0.5)

    def _offers(self) -> bool:
        """Whether "can I" goes with nothing but a day or hour: "¿puedo el jueves?"."""
        may = any(item.kind == "may" and item.word in _CAN_I for item in self.items)
        return may and self.kinds <= AROUND | {"may", "date", "question", "glue", "no", "place", "arrive"}

    def _refuses_last(self) -> bool:
        """Whether a "no" follows what was proposed ("better tomorrow, no") rather than leads up to it."""
        order = [item.kind for item in self.items if item.kind in ("no", "propose")]
        return order[-1] == "no"

    def _denied(self) -> Intent | None:
        if self.has("who"):
            return self._ask() if self.has("object") else Intent("unknown", 0.7)
        if not self.has("no", "not_confirm", "not_move", "not_cancel"):
            return None
        agrees = self.has("confirm", "attend") or self.asked and self.has("yes")
        if self.has("not_cancel", "not_move") and agrees and not self.has("no", "not_confirm") and self.unknown < 3:
            return Intent("confirm", self.sure(0.8))
        if self.told or self.has("object", "confirm", "attend", "not_confirm", "not_cancel"):
            return self._ask()
        return Intent("unknown", 0.6)

    def _confirms_then_asks(self) -> Intent | None:
        """ "Confirmada, ¿llevo mis estudios?": what is asked is about the visit, and no longer whether."""
        end = next((i for i, item in enumerate(self.items) if item.kind in BOUNDARIES), 0)
        said, asked = self.items[:end], self.items[end + 1 :]
        kinds, rest = {item.kind for item in said}, {item.kind for item in asked}
        if not self.asked or "confirm" not in kinds or not kinds <= AROUND | {"confirm", "yes", "glue", "object"}:
            return None
        if self.items[end].kind == "question" or "question" not in rest or "unknown" not in rest:
            return None
        against = CANCELS | MOVES | {"cant", "hedge", "or", "if", "propose", "who", "quoted", "no", "misfit"}
        return None if rest & against else Intent("confirm", self.sure(0.8))

    def _confirm(self) -> Intent | None:
        if self.has("confirm", "attend"):
            sure = self.unknown <= (5 if "confirm" in self.kinds else 3)
            if not sure or self._promises_later() or self._supposes() or self.has("book", "move_other", "who"):
                return self._ask()
            if not self.told and not self.has("confirm", "object"):
                return self._ask()
            return Intent("confirm", self.sure(0.95))
        comes = "arrive" in self.kinds and self._opens_with_yes() and self.unknown <= 2
        if (
            self.question == "reminder"
            and "yes" in self.kinds
            and (self.kinds <= _NOTING or (comes and self.kinds <= _NOTING | {"arrive", "unknown", "place"}))
        ):
            return Intent("confirm", self.sure(0.8))
        if "yes" not in self.kinds or not self.asked:
            return None
        if self.kinds <= _AGREEING and not self._supposes() and self.unknown <= (4 if self._opens_with_yes() else 1):
            return Intent("confirm", self.sure(0.9))
        return self._ask()

    def _opens_with_yes(self) -> bool:
        """Whether "yes" stands first and by itself: what follows a comma adds to it and does not hang on it."""
        said = [item for item in self.items if item.kind not in AROUND - BOUNDARIES]
        return len(said) > 1 and said[0].kind == "yes" and (said[1].kind in BOUNDARIES or said[1].kind == "yes")

    def _promises_later(self) -> bool:
        """ "Mañana confirmo" puts it off, "confirmo mañana" may; "confirmo mi cita de mañana" does not."""
        for i, (kind, word) in enumerate(self.items):
            if kind == "confirm" and word in ("confirmo", "confirmamos", "confirmar"):
                before = [item for item in self.items[:i] if item.word not in ("te", "le", "les", "lo", "la", "yo")]
                if before and before[-1].kind == "date":
                    return True
        return False

    def _supposes(self) -> bool:
        """A "si" that goes on with an unknown word is "if" as likely as "yes"."""
        for i, item in enumerate(self.items):
            if item.word in ("si", "se"):
                for j in range(i + 1, len(self.items)):
                    if self.items[j].kind in BOUNDARIES | {"confirm", "attend", "name_next"}:
                        break
                    if self.items[j].kind == "unknown" and j + 1 < len(self.items):
                        return self.items[j + 1].kind not in AROUND | BOUNDARIES
        return False
