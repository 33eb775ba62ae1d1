"""What a message says beside its intent: of what it wants no more, what it asks for, who it says not to be."""

import re
import unicodedata

from citaplanner_core.replies.reading import read
from citaplanner_core.replies.vocabulary import AROUND, CANCELS, MOVES, PHRASES, SETS, Kind, phrases

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
    r"|\b(?:marc|equivoc)\w+ (?:mal )?(?:el |de )?(?:numero|num)\b|\b(?:yo )?soy otra persona\b"
    r"|\b(?:este|ese) (?:cel|num|tel|whats\w*|linea) (?:ya )?no es (?:de |mio|su)"
    r"|\bno soy (?:es[ae]|l[ao]|el) (?:persona|paciente|cliente|senora?|que busca)|\bno soy quien busca"
    r"|\b(?:se|te|me) (?:estan? )?confund\w+ (?:de|con) (?:el |otr[ao] )?"
    r"(?:numero|num|celular|cel|telefono|persona|linea)"
    r"|\b(?:linea|numero|chip|telefono|celular|cel) (?:ya )?(?:cambio|es) de (?:dueno|duena|otro|otra|titular)"
    r"|\b(?:yo )?me llamo (?:diferente|distinto|de otra|otra cosa)"
    r"|\b(?:ni|no) soy (?:su |un |una )?(?:cliente|paciente)\b"
    r"|\byo ni (?:los|las|la|lo) conozco\b"
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
_ADVERTISING = re.compile(r"\b(?:" + "|".join(sorted(phrases(SETS["advertising"]), key=len, reverse=True)) + r")\b")
_CLAUSE_ENDS = re.compile(r"[,.;:!\n]+|\b(?:pero|but|excepto|salvo)\b")
_REFUSES = re.compile(
    r"\bno (?:me |nos )?(?:l[ao]s |mas )?(?:vuelvan a |sigan |esten |anden |quiero que me )?"
    r"(?:mand|envi|quier|quisier|interes|dese|necesit|ocup|gust|sirv)\w+"
    r"|\b(?:dejen?|paren?|parenle|parele|dejar|parar) (?:ya )?(?:de|con|a)\b"
    r"|\b(?:basta|nada de|alto|stop|cero|ya chole|hart[oa])\b"
    r"|\b(?:quit|borr|elimin|saqu|desactiv|suspend|deteng)(?:e|en|enme|eme|a|ame|ar|arme)\b"
    r"|\b(?:dar|den|denme|deme|dame|darme|dan) de baja\b|\bunsubscribe\b|\b(?:dont|do not) (?:want|send)\b"
    r"|(?:^|\s)(?:ya )?no$"
)
_REFUSES_NOT = re.compile(
    r"\bno (?:me |nos |l[ao]s |vayan a )*(?:quit|borr|elimin|saqu|dej|par|cancel|suspend|desactiv|den? de baja)"
    r"|\bsi no\b"
)
_REMINDS = re.compile(r"\b(?:recordatorios?|avisos?|mensajes?|citas?|lo demas|lo otro|reminders?|lembretes?)\b")
_BESIDE_ADVERTISING: frozenset[Kind] = (
    CANCELS | MOVES | {"cant", "attend", "confirm", "late", "info", "pay", "human", "want", "object", "question", "if"}
)
_NOT_ME = re.compile(r"\b(?:no soy|nao sou|(?:im|i am) not|this is not|this isnt) (?:la |el )?(\w{3,})")


def ends_marketing(text: str | None) -> bool:
    """Tell whether a message asks for no more advertising, and for nothing else: reminders are to go on."""
    plain = folded(text or "")
    if _REFUSES_NOT.search(plain):
        return False
    if _refuses_advertising(plain):
        return True
    reading = read(_KEEPS_REMINDERS.sub(" ", plain), "")
    kinds = {item.kind for item in reading.items}
    return "marketing_out" in kinds and kinds <= AROUND | {"marketing_out", "glue", "no"} and not reading.misspelled


def _refuses_advertising(plain: str) -> bool:
    """Whether every clause that names advertising refuses it, or the next one does; the others keep the reminders."""
    plain = re.sub(r"^(.*\bpueden? .*)\?+$", r"\1", plain)
    if "?" in plain or '"' in plain or not _ADVERTISING.search(plain):
        return False
    refused = named = False
    for clause in filter(None, map(str.strip, _CLAUSE_ENDS.split(plain))):
        rest = _ADVERTISING.sub(" ", clause)
        if rest != clause:
            if named and not refused:
                return False
            named, refused = True, _REFUSES.search(clause) is not None
            if _REMINDS.search(rest):
                return False
        elif _REMINDS.search(clause):
            if _REFUSES.search(clause) and not (named and refused and clause.startswith("no ")):
                return False
        elif named and _REFUSES.search(clause):
            refused = True
        elif not _BESIDE_ADVERTISING.isdisjoint(item.kind for item in read(clause, "").items):
            return False
    return named and refused


def asks_where(text: str | None) -> bool:
    """Tell whether a message asks where the appointment is, or how to get there, and for nothing else."""
    asked = [item for item in read(text or "", "").items if item.kind in ("info", "pay")]
    return bool(asked) and all(item.word.startswith(_WHERE) for item in asked)


def denies_being(text: str | None, first_name: str) -> bool:
    """Tell whether whoever writes says not to be the person we wrote to: a wrong number, or "no soy Laura".

    Relatives who answer for somebody ("no soy Laura, soy su mamá") do not count, nor do answers about the appointment.
    """
    plain = folded(text or "")
    beside = {item.kind for item in read(_WRONG_NUMBER.sub(" ", plain), "").items}
    if _WRONG_NUMBER.search(plain) and beside.isdisjoint(_STANDS_BY - {"relative", "yes"}):
        return True
    kinds = {item.kind for item in read(text or "", "").items}
    if not kinds.isdisjoint(_STANDS_BY):
        return False
    named = _NOT_ME.search(plain)
    return named is not None and (named[1] in folded(first_name).split() or named[1] not in PHRASES)


def folded(text: str) -> str:
    """Return a text in small letters, without accents, apostrophes and extra blanks, to be compared."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in plain if not unicodedata.combining(c) and c not in "'’").split())
