"""What a message says beside its intent: of what it wants no more, what it asks for, who it says not to be."""

import re
import unicodedata

from citaplanner_core.replies.reading import read
from citaplanner_core.replies.vocabulary import AROUND, CANCELS, MOVES, PHRASES

_WHERE = (
    *("donde", "adonde", "en donde", "por donde", "direccion", "domicilio", "ubicacion", "ubicad", "mapa", "calle"),
    *("como llego", "como llegar", "como le hago para llegar", "me manda", "me pasa", "me da la dir", "me dice la dir"),
    *("where", "address", "directions", "location", "how do i get", "onde", "endereco", "localizacao"),
)
_STANDS_BY = frozenset(("relative", "confirm", "attend", "yes", "cant")) | CANCELS | MOVES
_WRONG_NUMBER = re.compile(
    r"\b(?:numero|num|telefono|celular|persona) (?:equivocad[oa]|incorrect[oa]|errad[oa])\b"
    r"|\b(?:se|te) equivoc\w+ (?:de|con el|con) (?:numero|num|telefono|persona)\b"
    r"|\bequivocad[oa] de (?:numero|persona)\b|\bwrong (?:number|person)\b|\bfoi engano\b"
    r"|\b(?:este|ese|aqui) (?:ya )?no es (?:el |su |un )?(?:numero|telefono|celular|cel) de\b"
    r"|\b(?:ya )?no (?:tiene|usa|es su) (?:este|ese)? ?(?:numero|telefono|celular)\b"
    r"|\baqui no (?:vive|hay|es|trabaja) (?:ningun[a]? |nadie )"
    r"|\bno conozco a (?:es[ae]|nadie|ningun[a]?)\b"
    r"|\b(?:este|ese|su) (?:mensaje|recado|aviso)s? (?:yo creo que |creo que )?"
    r"no (?:es|era|fue|son|eran) (?:para )?(?:mi|mio|nosotros)\b"
    r"|\b(?:no (?:es|era)|no (?:va|iba) dirigido) (?:para|a) mi\b(?! (?:cita|hij|espos|mam|pap))"
    r"|\ba quien (?:busca|buscan|buscas)\b|\baqui no es\b"
    r"|\b(?:esta|estan|estas) (?:escribiendo|hablando|marcando|mandando|contactando)(?:le)? (?:a|con) "
    r"(?:otra persona|alguien mas)\b"
    r"|\b(?:este|ese) (?:numero|telefono|celular) (?:ya )?no es (?:de |mio)"
    r"|\b(?:numero|telefono|celular) (?:lo tenia|era de|es de|pertenecia a|ya no es de) (?:otra|la |el )"
    r"|\bno (?:tengo|hice|he hecho|saque|agende) (?:ninguna )?cita (?:con ustedes|ahi|en ese lugar)\b"
)
_KEEPS_REMINDERS = re.compile(
    r"[,.;]? ?\b(?:pero |y |but |mas )?(?:"
    r"(?:nada mas|nomas|solo|solamente|unicamente|only|just|so) (?:quiero |avise\w* |mande\w* |quero )?.{0,24}?"
    r"\b(?:recordatorios?|avisos?|citas?|reminders?|appointments?|lembretes?|consultas?)(?: de mis? citas?)?"
    r"|(?:los )?(?:recordatorios|avisos)(?: de (?:mis? )?citas?)? si"
    r"(?: los quiero| me interesan| esta bien| estan bien)?"
    r"|(?:appointment )?reminders (?:are|is) (?:fine|ok|okay|good))[.!]*$"
)
"""What is said beside it when advertising alone is unwanted: reminders may come."""
_NOT_ME = re.compile(r"\b(?:no soy|nao sou|(?:im|i am) not|this is not|this isnt) (?:la |el )?(\w{3,})")


def ends_marketing(text: str | None) -> bool:
    """Tell whether a message asks for no more advertising, and for nothing else: reminders are to go on."""
    reading = read(_KEEPS_REMINDERS.sub(" ", folded(text or "")), "")
    kinds = {item.kind for item in reading.items}
    return "marketing_out" in kinds and kinds <= AROUND | {"marketing_out", "glue", "no"} and not reading.misspelled


def asks_where(text: str | None) -> bool:
    """Tell whether a message asks where the appointment is, or how to get there, and for nothing else."""
    asked = [item for item in read(text or "", "").items if item.kind in ("info", "pay")]
    return bool(asked) and all(item.word.startswith(_WHERE) for item in asked)


def denies_being(text: str | None, first_name: str) -> bool:
    """Tell whether whoever writes says not to be the person we wrote to: a wrong number, or "no soy Laura".

    Relatives who answer for somebody ("no soy Laura, soy su mamá") do not count, nor do answers about the appointment.
    """
    kinds = {item.kind for item in read(text or "", "").items}
    plain = folded(text or "")
    if kinds.isdisjoint(_STANDS_BY - {"relative", "yes"}) and _WRONG_NUMBER.search(plain):
        return True
    if not kinds.isdisjoint(_STANDS_BY):
        return False
    named = _NOT_ME.search(plain)
    return named is not None and (named[1] in folded(first_name).split() or named[1] not in PHRASES)


def folded(text: str) -> str:
    """Return a text in small letters, without accents, apostrophes and extra blanks, to be compared."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c) and c not in "'’").split())
