"""The words clients use, by what they say: Spanish (Mexico first), English and Portuguese in one list.

Phrases stand without accents, apostrophes and capitals, separated by commas; ``(a|b|)`` is a choice, which may be
empty. What is in no list is an unknown word, and `intents` acts on little that holds one.
"""

import re
from collections.abc import Iterator
from typing import Literal

Kind = Literal[
    # answers
    "yes", "no", "hedge", "later", "but", "or", "if", "instead",
    # what to do with the appointment
    "confirm", "confirm_other", "attend", "cant", "cant_open",
    "cancel", "cancel_polite", "cancel_other", "drop",
    "move", "move_weak", "carry", "move_other", "another", "propose", "book",
    # everything else that gets an answer
    "human", "opt_out", "opt_in", "late", "arrive", "info", "who", "pay",
    # how a request is put
    "want", "could", "may", "please",
    # what stands around it
    "object", "objects", "date", "minutes", "number", "option", "because", "reason",
    "title", "place", "with", "name_next", "polite", "glue", "laugh", "decor",
    # found by the reader, never listed
    "unknown", "quoted", "comma", "stop", "question",
    "not_cancel", "not_move", "not_confirm", "not_other",
]  # fmt: skip

VOCABULARY: dict[Kind, str] = {
    "yes": """
        joya, joia, venga, aja, cool, awesome, will do, pode deixar, show, (cuento|cuenta) con eso, cuento con ello, si, sip, sipi, simon, si si, claro (que si|), por supuesto (que si|), desde luego, ok, oka, oki, okis, okey,
        okay, okas, va, va que va, vale, sale, sale y vale, dale, listo, lista, listos, correcto, perfecto,
        excelente, exacto, de acuerdo, (esta|ta) (bien|bueno), me parece (bien|perfecto|excelente|),
        con (mucho |)gusto, sin (ningun |)problema, no hay (ningun |)(problema|inconveniente|pedo|bronca),
        todo bien, todo en orden, no tengo (ningun |)(problema|inconveniente), enterad(o|a), entendido, recibido,
        anotado, asi es, afirmativo, sobres, arre, orale, jalo, de una, hagale, bueno, buenisimo, genial, estupendo,
        bien, muy bien, super, conforme, acepto, aceptado, hecho, sep, positivo, ta, oki doki, okidoki, a huevo,
        (cuenta|cuenten|cuente) con ello, sigo en pie, como no, por que no, obvio, seguro, asi quedamos,
        quedamos asi, me (queda|quedaria|acomoda|funciona|va) (bien|perfecto|excelente), asi esta (bien|perfecto),
        ese horario esta bien, yes, yep, yeah, yup, yess, sure, of course, sounds (good|great|perfect), great,
        perfect, alright, all right, fine, thats (fine|ok|good|great|perfect|right), that (works|is fine)( for me|),
        works (for me|), all good, absolutely, definitely, no (problem|worries), why not, good, correct, agreed,
        sim, claro que sim, com certeza, certo, certinho, ta (bom|certo|otimo), tudo (bem|certo|ok), beleza, blz,
        combinado, fechado, perfeito, otimo, isso, isso mesmo, sem problemas, de acordo, confirmadissimo, 👍, 👌, ✅,
        ☑, ✔, 💯, 🙌, 🆗, 👏, ✌, 🤙, 👊, 💪, 🤝, 🫡, 🙆
    """,
    "no": """
        no, nop, nope, nel, nah, nones, negativo, claro que no, por supuesto que no, para nada, de ninguna manera,
        en absoluto, nunca, jamas, tampoco, ni, sin, ningun, ninguna, nadie, mejor no, (ahora|todavia|aun) no, nada,
        not, not (now|yet), never, dont, do not, doesnt, didnt, isnt, arent, wasnt, without, none, neither, nor,
        nao, nem, jamais, sem, ainda nao, 👎, ❌, ✖, 🚫, 🙅, ⛔
    """,
    "hedge": """
        tal vez, talvez, quiza, quizas, a (lo|la) mejor, (yo |)creo (que |)(si|no|), puede que (si|no|),
        lo mas seguro, no (lo |)se (si|), (aun |todavia |)no (lo |)se (si|), no estoy segur(o|a),
        no estoy muy segur(o|a), probablemente, posiblemente, seguramente, depende, es probable, a ver (si|),
        voy a (ver|checar|revisar) (si|),
        voy a (pensar|pensarlo|intentar|intentarlo|tratar|preguntar|consultar|consultarlo), espero (poder|que|),
        ojala, intentare, tratare, (hare|voy a hacer) lo posible, capaz, igual y, estoy pensando, lo estoy pensando,
        dudo, tengo duda, tengo mis dudas, mas o menos, si (puedo|alcanzo|se puede|me da tiempo), maybe, perhaps,
        i think (so|), i guess, not sure, im not sure, probably, possibly, might, i might, ill try, i hope,
        it depends, if i can, acho que (sim|nao|), nao sei (se|), vou tentar, provavelmente, espero que,
        nao tenho certeza, se (eu |)(puder|conseguir), 🤔, 🤷, 😬
    """,
    "later": """
        luego, despues, (mas |)al rato, en un (rato|momento|ratito),
        (te|les|le|yo te|yo les|yo le|) (aviso|avisare|digo),
        (mas tarde|luego|despues|al rato|ahorita|manana|hoy|en la tarde|en la noche|en un rato|en un momento) (te|
            les|le|lo|la|) (confirmo|confirmamos|aviso|digo|respondo|contesto|escribo|llamo|marco),
        (te|les|le|) confirmo (luego|despues|manana|al rato|mas tarde|en un rato|en un momento|en la tarde|
            en la noche), confirmar (luego|despues|mas tarde|al rato), (te|les|le) (llamo|marco|escribo|respondo),
        confirmare, confirmaremos, (te|les|le) (confirmare|voy a confirmar), voy a avisar,
        dejame (ver|checar|revisar|pensar|pensarlo|preguntar|consultar|confirmar), dejeme (ver|checar|revisar),
        deja (veo|ver|checo|reviso|checar|pregunto|lo veo), permiteme (ver|checar|revisar|confirmar), un momento,
        lo (checo|reviso|veo|pienso|consulto), let me (check|see|think|confirm|get back to you),
        ill (let you know|confirm), i will (confirm|let you know)( later|), get back to you, confirm later,
        vou (ver|verificar|confirmar|pensar), depois, te aviso depois, aviso depois,
        mais tarde (eu |)(confirmo|aviso|te aviso), confirmo (depois|mais tarde)
    """,
    "but": "pero, sino, aunque, excepto, salvo, solo que, nomas que, but, except, although, porem, so que",
    "or": "u, or, ou",
    "if": """
        si no, en caso de, en caso, por si, a menos que, siempre y cuando, mientras, unless, if, in case,
        as long as, caso, se nao, hasta que, until, ate que, antes de, before
    """,
    "instead": "instead, en vez de, en vez del, en lugar de, en lugar del, instead of, em vez de, rather than",
    "confirm": """
        confirmo, confirmamos, confirmar, confirmarla, confirmarlo, confirmarles, confirmarle, confirmarte,
        confirmado, confirmada, confirmados, confirmadas, confirmadisimo, confirmadisima, confirma, confirmala,
        confirmela, confirme, confirmen, confirmenla, confirmacion, confirmacion de (mi |)asistencia,
        (la |lo |)(conservo|mantengo), (conservar|mantener)(la|), (mi cita |la cita |)sigue en pie,
        (ahi|alli) seguimos, confirm, confirmed, confirming, i confirm, (ill |i will |)keep it,
        keep (my|the) appointment, mantenho, manter, confirmadissima, pode confirmar, podem confirmar,
        pueden confirmarla, dejar la cita (igual|asi|como esta), dejala (asi|igual), dejenla (asi|igual), conf,
        confi
    """,
    "confirm_other": """
        me (confirma|confirmas|confirman|confirme|confirmen), confirmame, confirmeme, confirmenme, confirmas,
        confirman, confirmaron, confirmaste, confirmaria, por confirmar, sin confirmar, falta confirmar, confirmou,
        confirmaram
    """,
    "attend": """
        (ahi|alla|alli|ai|por alla|por ahi) (estare|estaremos|voy|vamos|andare|andaremos|andamos|nos vemos|
            voy a estar|vamos a estar|llego|llegamos|llegare|llegaremos|te veo|los veo|las veo|le veo|la veo|lo veo|
            estoy|estamos),
        (estare|estaremos|voy a estar|vamos a estar) (ahi|alla|alli|puntual|puntuales|presente|sin falta|a tiempo|
            a la hora), aqui (estare|estaremos), ahi mero,
        nos vemos (ahi|alla|alli|luego|al rato|mas tarde|pronto|entonces|), nos estamos viendo,
        alla (los|las|les|te|lo|la) veo, (los|las|te) veo (ahi|alla|), hasta manana, asistire, asistiremos, asisto,
        asistimos, (si |)(voy|vamos) a (ir|asistir|acudir|estar), si voy, si vamos,
        si (ire|iremos|asisto|asistire|acudo|acudire|llego|llegamos|llegare), ire, iremos, acudire, acudiremos,
        acudo, (yo|claro que|claro que si|por supuesto que) (si |)voy, ya voy, ya vamos, voy en camino,
        vamos en camino, (estoy |)en camino, voy para alla, vamos para alla,
        (llego|llegare|llegamos|voy) (puntual|a tiempo|a la hora), no (falto|faltare|faltaremos), no voy a faltar,
        sin falta, (cuenta|cuente|cuenten) (conmigo|con nosotros|con mi presencia|con mi asistencia),
        no se me olvida, (la|lo|los|las|te|le|les) espero, si (puedo|podemos|podre) (ir|asistir|llegar|acudir),
        (puedo|podre) (ir|asistir) sin problema, con gusto voy, ill be (there|here), i will be there, well be there,
        we will be there, be there, (ill|i will|im going to|we will|well) (attend|come|go|make it),
        see (you|ya|u|you all) (then|there|soon|tomorrow|later|today|at|), count me in, on my way, omw,
        (i |we |)can make it, im (coming|going|in), i am (coming|going), i plan to be there,
        looking forward( to it| to seeing you|), (i |)wont miss it, wouldnt miss it,
        (i |)can (come|attend|be there), estarei (la|ai|presente|lai), vou estar (la|ai), vou sim, sim vou, eu vou,
        vou ir, irei, (vou |)comparecer, comparecerei, compareco, (estou |)a caminho, ate (amanha|la|mais|breve),
        conte comigo, nos vemos la, te vejo la, vou com certeza, estaremos la, posso ir sim, (eu |)vou (la|ai),
        asistencia, presente, si puedo el dia
    """,
    "cant": """
        (ya |)no (puedo|podre|podremos|podemos|voy a poder|vamos a poder|pude|podria|alcanzo a|alcanzo|quiero|
            pienso| creo poder|creo que pueda|deseo|me va a ser posible|me sera posible|me es posible|logro|
            pudimos) (ir|asistir|llegar|acudir|presentarme|estar|hacerlo),
        (ya |)no (voy|vamos) a (ir|asistir|llegar|acudir|presentarme|estar|alcanzar),
        (ya |)no (asistire|asistiremos|asisto|ire|iremos|acudire|llego|llegare|llegaremos|llegamos|alcanzo|estare|
            estaremos), siempre no (puedo|podre|voy a poder|voy a) (ir|asistir|llegar),
        no (cuenta|cuenten|cuente) conmigo, (no me |me )(es|sera|va a ser) imposible,
        no me (va a ser|sera|es) posible, no me da tiempo, imposible,
        (i |we |)(cant|cannot|can not|wont|will not|couldnt) (make it|come|go|attend|be there|be able to make it|
            be able to come|be able to attend|be coming), (im |i am |)not able to (make it|come|attend|go),
        (im |i am |)(not going to|not gonna) (make it|be there|come|attend),
        (im |i am |)unable to (make it|come|attend|go), (im |i am |)not (coming|going), (i |)cant anymore,
        nao (posso|poderei|vou poder|consigo|vou conseguir|conseguirei|podemos) (ir|comparecer|chegar|estar),
        nao vou (ir|comparecer|mais|estar), nao (irei|comparecerei), nao (vai dar|da|deu)
    """,
    "cant_open": """
        (ya |)no (puedo|podre|podremos|podemos|voy|vamos|voy a poder|vamos a poder|podria|creo poder), ya no,
        (que |)siempre no, siempre no (puedo|podre|voy a poder|voy),
        (i |we |)(cant|cannot|can not|couldnt|wont|will not)( be able to|),
        (im |i am |)(not able to|unable to|not going to|not gonna),
        nao (posso|poderei|vou|vou poder|consigo|vou conseguir|podemos)
    """,
    "cancel": """
        (cancelar|desmarcar) o (horario|agendamento), cancela, cancelala, cancelalo, cancelame, cancelamela, cancelar, cancelarla, cancelarlo, cancelarme,
        cancelen, cancelenla, cancelenlo, cancelenme, cancelenmela, cancelela, cancelelo, canceleme, cancelemela,
        cancelemos, cancelemosla, cancelo, cancelem, cancelarmela, cansela, canselar, canselarla, canselen,
        canselala, canselo, anula, anulala, anular, anularla, anulen, anulenla, anulo, desmarcar, desmarca,
        desmarco, desmarquem, cancel, cancel it, call it off, (im |i am )(cancelling|canceling), cancelling,
        canceling, (solicito|quiero solicitar|quisiera solicitar|pido|requiero|deseo|necesito) (la |)cancelacion,
        ya no (quiero|necesito|requiero|voy a necesitar|ocupo|voy a querer) (la|mi) (cita|consulta|reservacion|
            reserva), ya no (quiero|necesito) (el|mi) turno, ya no la (necesito|requiero|ocupo),
        (i |)(no longer|dont) (need|want) (the|my|this) (appointment|booking) (anymore|any more),
        i no longer (need|want) (the|my|this) (appointment|booking), nao (quero|preciso) mais (a|da) consulta
    """,
    "cancel_polite": "desmarque, cancele, anule, cancelas, cancelan, cancelarias, cancelarian, anulas, anulan",
    "cancel_other": """
        cancelado, cancelada, cancelados, canceladas, canceles, cancelaron, cancelaste, cancelamos, cancelara,
        cancelaran, cancelare, cancelaria, cancelacion, cancelaciones, cancelando, cancelarse, cancelabas,
        cancelaba, cancelled, canceled, cancellation, cancels, anulado, anulada, anules, anulacion, cancelei,
        cancelou, cancelamento, cancel that, dar de baja, den de baja, dame de baja, doy de baja, da de baja
    """,
    # also of other things: cancels only together with the word for an appointment
    "drop": "borra, borrar, borren, elimina, eliminar, eliminen, quita, quitar, quiten, delete, remove",
    "move": """
        reprogramacion, reagendamiento, reagendamela, (mudar|trocar|alterar) o (horario|dia|agendamento), muevemela, muevamela, cambiamela, cambiemela, cambienmela, muevanmela, reagendar, reagendarla, reagendarlo, reagendarme, reagendo, reagenda, reagendamos, reagende, reagenden,
        reagendala, reagendame, reagendemos, reagendarian, reajendar, re agendar, re agenda, volver a agendar,
        reprogramar, reprogramarla, reprogramarlo, reprogramarme, reprogramo, reprograma, reprogramamos,
        reprogramen, reprograme, reprogramala, reprogramame, reprogramemos, posponer, posponerla, posponerlo,
        pospongo, posponemos, pospongan, pospone, pospongala, aplazar, aplazarla, aplazo, aplazamos, postergar,
        postergarla, postergo, postergamos, recalendarizar, adelantar, adelantarla, adelantarlo, adelantarme,
        adelantamos, recorrer, recorrerla, recorren, recorreme, recorrela, recorran, recorremela, recorranla,
        reagendarse, reprogramarse, posponerse, aplazarse, atrasarla, retrasarla, retrasar, atrasar, reschedule,
        rescheduling, reschedule it, postpone, rebook, remarcar, remarca, remarco, remarcarmos, remarque, remarquem,
        adiar, antecipar,
        (cambiar|mover|cambio|cambiarla|cambiarlo|moverla|moverlo|pasarla|pasarlo|pasar|dejarla|dejarlo) (de |) (a|
            para|al|el|en) (otro|otra|la otra|el otro) (dia|fecha|hora|horario|semana),
        cambio de (hora|horario|dia|fecha|cita|turno)
    """,
    "move_weak": """
        cambiar, cambiarla, cambiarlo, cambiarme, cambiarle, cambiarnos, cambiarse, moverse, cambio, cambia,
        cambiame, cambiala, cambialo, cambiamos, cambien, cambienme, cambienla, cambie, cambiemos, cambiemosla,
        cambiaria, canviar, mover, moverla, moverlo, moverme, movemos, movamos, movamosla, mueve, muevela, muevelo,
        mueveme, muevan, muevanla, muevo, mueven, modificar, modificarla, modifico, cambias, cambian, mueves,
        modificarle, correr, correrla, correrlo, change, change it, changing, move, move it, moving, switch, swap,
        mudar, muda, mudamos, trocar, troca, alterar, transferir
    """,
    # moves only with the day or hour it is to go to
    "carry": """
        pon, ponme, ponla, ponerla, ponganme, ponganla, pasamela, pasar, pasarla, pasarlo, pasarme, pasame, pasala, pasenla, pasenme, pasamos, pasan, pasas, dejarla, dejarlo,
        dejamosla, dejala, dejenla, dejamos, corre, corran, correla, push, push it, put it, passar, passa, deixar
    """,
    "move_other": """
        cambiaron, cambiaste, cambiado, cambiada, movieron, moviste, movida, movido, changed, moved, reagendada,
        reagendaron, reprogramaron, reprogramada, rescheduled, remarcada, remarcaram, pasaron
    """,
    "another": """
        (other|otros) (times|days|dates|options), (para |en |a |al |)(otro|otra|algun otro|alguna otra) (dia|fecha|hora|horario|momento|turno|ocasion|semana|
            opcion), (otros|otras) (dias|fechas|horas|horarios|opciones), la otra semana,
        (un poco|un poquito|poquito) (antes|despues), se (puede|podra|podria) (antes|despues), antes por favor,
        (puede|podria|podra|pudiera) ser (un poco |)(antes|despues),
        (un poco |un poquito |poquito |algo |)mas (tarde|temprano|tardecito|tempranito|adelante), mas tarde ese dia,
        (dia|hora|horario|fecha) (diferente|distinto|distinta),
        (una |un |)(diferente|distinto|distinta) (hora|fecha|dia|horario),
        (una|media|dos) hora(s|) (antes|despues|mas tarde|mas temprano), un dia (antes|despues),
        (back|forward|up) (an|one|half an|one) hour, (an|one) hour (later|earlier),
        (a |an |)(another|different|other) (day|time|date|slot|hour), some other (day|time),
        (a |)later (time|date|day|slot), (an |)earlier (time|date|slot), earlier, later,
        later (in the|that|this) (day|week), outr(o|a) (dia|horario|data|hora|semana|momento), mais (tarde|cedo),
        mais pra frente
    """,
    "propose": """
        better, (works|funciona) (better|mejor)( for me|), me va mejor, puede ser, podria ser, pudiera ser, podra ser, sera posible, seria posible, podemos, podriamos, mejor,
        prefiero, preferiria, preferible, que sea, me (queda|quedaria|acomoda|conviene|viene) mejor, que tal (si|),
        y si, si puedo el,
        (hay|habra|tiene|tienes|tienen|tendra|tendran|tendras|queda|quedan) (algo|lugar|lugares|espacio|espacios|
            hueco|disponibilidad|chance|horario|horarios|cupo|disponible|), disponible, disponibilidad, disponibles,
        (can|could) (it be|we do|we make it|we|i come|i do), would it be possible, how about, what about,
        any (availability|openings|slots), do you have (anything|something|any|availability|space),
        is there (anything|space|availability), pode ser, poderia ser, tem (vaga|horario|como|disponibilidade|),
        seria possivel, que tal, prefer, i prefer, id prefer, id rather, rather, prefiro, melhor, da para ser
    """,
    "book": """
        agendar, agenda, agendo, apartar, reservar, sacar (una |)cita, hacer (una |)cita, (una |)nueva cita, nueva,
        otra cita, book, schedule, a new appointment, marcar, nova consulta, una cita, un turno, un appointment
    """,
    "human": """
        (hablar|platicar|comunicarme|chatear|conversar|contactarme|hablo|platico|contactar|comunicar|hable) (con|a)
            (alguien|una persona|un asesor|una asesora|un humano|un agente|una agente|un ejecutivo|una ejecutiva|
            un operador|una operadora|ustedes|usted|recepcion|la recepcion|la recepcionista|el encargado|
            la encargada| el gerente|la gerente|la doctora|el doctor|la dra|el dr|el dentista|la dentista|atencion|
            servicio),
        (quiero|quisiera|necesito|puedo|podria|podemos|deseo|me gustaria|prefiero|ocupo|me urge) hablar,
        (que |)(me|nos) (llame|llamen|llama|llamas|llaman|marque|marquen|marcas|marcan|contacten|contacte|atienda|
            atiendan| atiende|comuniquen|comunique|comunicas) (alguien|una persona|un asesor|por favor|),
        (me|nos) (pueden|puedes|puede|podrian|podria|podrias|podra|podran) (llamar|marcar|atender|contactar|
            comunicar|pasar con alguien|comunicar con alguien),
        (pueden|puedes|puede|podrian|podrias|podria) (llamarme|marcarme|atenderme|contactarme|comunicarme), llamame,
        llamenme, llameme, marcame, marquenme, marqueme, comunicame, comuniqueme, comuniquenme, atiendanme,
        (un |una |el |la |)(asesor|asesora|humano|humana|agente|operador|operadora|ejecutivo|ejecutiva|
            representante), asesores, persona (real|humana), (servicio|atencion) (al|a) cliente(s|),
        atencion (humana|personal|personalizada),
        alguien me (puede|podria|pudiera) (ayudar|atender|llamar|contestar|responder),
        hay alguien (ahi|disponible|),
        alguien (que|de ustedes|del equipo|me) (me |)(ayude|atienda|atiende|ayuda|pueda ayudar|pueda atender|
            responda),
        (pasame|paseme|pasenme|comunicame|comuniqueme) (con|a) (alguien|una persona|un asesor|un humano|
            el encargado| la encargada|el gerente|recepcion|la recepcionista), call me, give me a call, phone me,
        (speak|talk|chat|speaking|talking) (to|with) (someone|somebody|a person| a human|an agent|anyone|reception|
            the receptionist|the manager|a real person|a representative|you),
        (i |)(want|need|would like) to (talk|speak), real person, human, agent, representative, operator,
        customer (service|support|care), someone (call|please call|to call) me, have someone call me, atendente,
        um atendente,
        (falar|conversar) com (alguem|uma pessoa|um atendente|uma atendente|um humano| a recepcao|voces),
        (quero|preciso|gostaria de|posso) falar, me (liga|liguem|ligue|ligar), atendimento (humano), pessoa real
    """,
    "opt_out": """
        (por favor |ya |)no (me |nos )(manden|mandes|mande|envien|envies|envie|escriban|escribas|escriba|
            sigan mandando| sigan enviando|sigan escribiendo|esten mandando) (mas |)(mensajes|mensaje|msj|msjs|sms|
            whats|whatsapp|whatsapps| textos|notificaciones|nada|correos|mas)( mas|),
        (por favor |ya |)no (me |nos )(escriban|escribas|escriba|molesten|molestes|moleste|contacten|contactes|
            contacte| sigan molestando|sigan escribiendo|esten molestando) (mas|nunca mas|),
        ya no (me |nos )(manden|mandes|mande|envien|envies|envie),
        (ya |)no (quiero|deseo|me interesa|me gustaria) (recibir |seguir recibiendo |que me manden |
            que me escriban | que me envien |)(mas |)(mensajes|mensaje|msjs|sms|notificaciones|sus mensajes|
            estos mensajes|whatsapps)( mas|),
        (ya |)no quiero que me (escriban|contacten|molesten|manden|envien) (mas|),
        (ya |)(dejen|dejar|deje|paren|pare) de (mandar|mandarme|mandarnos|enviar|enviarme|escribir|escribirme|
            molestar| molestarme|contactarme|estar molestando|estar mandando) (mensajes|msjs|mensaje|sms|),
        (ya |)deja de (mandar|mandarme|enviar|enviarme|escribirme|molestar|molestarme|contactarme) (mensajes|msjs|
            mensaje|),
        (quiten|quita|quitenme|quitame|quiteme|eliminenme|eliminame|elimineme|borrenme|borrame|borreme|saquenme|
            sacame| saqueme|remuevanme|quitarme|eliminarme|borrarme|sacarme) de (la|su|sus|esta|tu|las|tus) (lista|
            listas|base|base de datos|lista de contactos|contactos),
        (eliminen|borren|quiten|elimina|borra|eliminar|borrar|quitar) mi (numero|contacto|telefono|celular),
        (dar|den|dame|da) de baja (mi|este) (numero|telefono|contacto|celular),
        (darme|denme|deme|quiero darme|me dan|me puede dar|me pueden dar) de baja,
        (quiero|solicito|pido) (la |mi |)baja, no mas (mensajes|sms|msjs|mensaje), basta de mensajes, desuscribirme,
        desuscribanme, desuscribeme, unsubscribe me, opt me out, i want to (opt out|unsubscribe),
        stop (texting|messaging|contacting|writing|bothering|spamming|emailing)( me| us|),
        stop sending( me|) (messages|texts|sms|these messages|these|messages to me),
        stop (messages|texts|sms|all messages),
        (please |)(dont|do not) (text|message|contact|write|bother|write to) me( anymore| again| any more|),
        (please |)(dont|do not) send( me|) (any more |anymore |more |any |)(messages|texts|sms|message),
        no more (messages|texts|sms), (remove|take|delete) me (from|off) (your|the|this) (list|contacts|database),
        remove me, leave me alone, take me off,
        nao (quero|desejo) (mais |)(receber |)(mais |)(mensagens|mensagem|sms)( mais|),
        nao me (mande|mandem|envie|enviem|escreva|escrevam) mais( mensagens| mensagem|),
        nao me (mande|mandem|envie|enviem) (mensagens|mensagem),
        (pare|parem) de (me |)(mandar|enviar|escrever|mandarem|incomodar)( mensagens| mensagem| me|),
        (me |)(remova|remove|remover|tira|tire|tirem|retire|exclua)( me|) da (sua |)lista, descadastrar,
        me descadastra
    """,
    "opt_in": """
        (quiero|quisiera|deseo|me gustaria) (volver a |)recibir (los |sus |mis |)(mensajes|avisos|recordatorios|
            notificaciones) (de nuevo|otra vez|),
        vuelvan a (mandarme|enviarme|escribirme) (mensajes|avisos|recordatorios|),
        (darme|dame|denme|deme|quiero darme) de alta, (i want to |)(opt in|resubscribe|subscribe), subscribe me,
        (quero |)(voltar a |)receber (as |)mensagens (de novo|novamente|)
    """,
    "late": """
        tarde, se me hizo (muy |)tarde, retraso, retrasad(o|a), retrasados, retrasare, retrasando, atrasad(o|a),
        atrasados, atrasare, demorad(o|a), demorados, demorare, me demoro, tardanza, me tardo, (me |)tardare,
        voy a tardar, (me|nos) (voy|vamos|estoy) (a |)(retrasar|atrasar|demorar|tardar|retrasando|atrasando),
        me retrase, me atrase, (hay |mucho |)trafico, transito,
        (llego|llegare|llegamos|voy a llegar|vamos a llegar) (un poco |un poquito |algo |) mas (tarde|tardecito|
            tardesito), tardecito, tardesito, (no (voy a llegar|llego|llegare|alcanzo a llegar) a tiempo),
        no (voy a llegar|llego|llegare|alcanzo a llegar) (a tiempo|puntual), esperenme, esperame, espereme,
        me esperan, ya (casi |mero |)(llego|llegamos), casi (llego|llegamos),
        estoy (por llegar|llegando|a punto de llegar), llegando, late, running late, im late, delayed,
        (stuck in |in |)traffic, behind schedule, (almost|nearly) there, atraso, vou (me |)atrasar,
        vou chegar atrasad(o|a), chegando, (estou |)quase chegando, to atrasad(o|a)
    """,
    "arrive": """
        llego, llegamos, llegare, llegaremos, llegar, voy llegando, estoy, salgo, voy saliendo, estare, dame, denme,
        ill be, i will be, im, be there in, ill arrive, arriving, chego, chegarei, vou chegar
    """,
    "info": """
        donde, adonde, en donde, (por |)donde (es|queda|esta|quedan|estan), direccion, domicilio, ubicacion,
        ubicados, ubicado, mapa, como (llego|llegar|le hago para llegar), calle, a que hora(s|), que hora(s|),
        que dia(s|), que fecha, cuando (es|era|tengo|seria|me toca), para cuando, que documentos,
        con que (doctor|doctora|especialista|estilista|persona), cuanto,
        cuanto (es|cuesta|cobran|vale|sale|seria|dura|tarda), cuanta, cuantos, precio, precios, costo, costos,
        tarifa, tarifas, cual, cuales, con quien, quien me (atiende|va a atender),
        que (debo|tengo que|hay que|necesito) (llevar|traer|hacer), que llevo, que (incluye|servicio|servicios),
        en ayunas, estacionamiento, (aceptan|acepta|reciben|recibe), formas de pago,
        puedo (llevar|comer|pagar|ir acompanad(o|a)), (a que hora |)(abren|cierran),
        horario(s|) de (atencion|servicio), requisitos, informacion, info, informes, hay que (pagar|llevar),
        (que|cual) es el (telefono|numero), hasta (cuando|que hora),
        (what|which) (time|day|date|hour|address|is|are), (at |)what time, when is, when, where, where is,
        how (much|long|many|far), how do i get there, address, directions, location, price, prices, cost, parking,
        do you (accept|take|have parking), who will, what should i (bring|wear), what do i (need|bring),
        is there parking, information, onde, onde (fica|e), endereco, localizacao, quanto, quanto (custa|e|fica),
        que horas, a que horas, qual, quando (e|sera), preco, precos, valor, estacionamento, aceitam, quais,
        o que (levar|preciso levar)
    """,
    "who": """
        quien, quien (eres|es|son|habla|me habla|escribe|me escribe), quienes son, de parte de quien,
        numero equivocado, (se|te) (equivoco|equivocaron|equivocaste|equivoca), equivocado, equivocada, no soy,
        yo no soy, no (lo |la |los |)conozco, no es mi (numero|cita),
        (yo |)no (tengo|hice|agende|pedi|saque|tenia|programe|reserve) (ninguna |una |esa |esta |)cita,
        who (is this|are you|is it|is that), wrong (number|person), not me, im not, i am not,
        quem (e|fala|esta falando), numero errado, nao sou, nao conheco, engano
    """,
    "pay": """
        tarjeta, efectivo, transferencia, deposito, anticipo, saldo, deuda, factura, pago, pagos, pagar, pague,
        pagarlo, abono, nequi, oxxo, spei, pix, cobro, cobros, cobran, cobrar, cobrarme, cuota, mensualidad, total,
        monto, recibo, adeudo, penalizacion, multa, cargo, card, cash, deposit, payment, pay, paid, refund,
        reembolso, devolucion, dinero, fee, cartao, dinheiro, taxa, reembolsan, descuento, promocion, promociones
    """,
    "want": """
        (llamo|escribo|hablo|marco) para, i must, we must, vou, quiero, quiere, kiero, qiero, quisiera, deseo, desearia, necesito, nesecito, nesesito, ocupo, requiero,
        solicito, pido, me (gustaria|urge|interesa), voy a (tener que|querer|necesitar|), vamos a (tener que|),
        voy a, tengo que, tenemos que, tendre que, tendremos que, hay que, toca, me toca, queria, necesitaria,
        prefiero que, quiero que, para, i (want|need|have|would like|wish|must) to, id like to, i would like to,
        (im |i am )going to have to, (i |)(gotta|wanna), i will have to, ill have to, we (need|have|want) to,
        want to, need to, would like to, lets, gonna have to, quero, preciso, gostaria de,
        vou (ter que|precisar|querer), tenho que, desejo, vou ter de, preciso que
    """,
    "could": """
        (me |nos |)(puedes|pueden|podrias|podrian|podes|podras|podran), (me|nos) (puede|podria|podra), usted puede,
        me (la|lo) (puedes|pueden|puede|podrias|podrian|podria|podra),
        me (ayudas|ayudan|ayuda|ayudarias|ayudarian|apoyas|apoyan|apoya|haces|hace) (a|con|para|),
        sera que (pueden|puedes|puede), (can|could|would|will) (you|u|someone), pode, podem, poderia, poderiam,
        voce pode, voces podem
    """,
    "may": """
        puedo, podria, puede, se (puede|podra|podria|pueden), es posible, hay (manera|forma|posibilidad) de, como,
        como (le hago|puedo|hago|se|podria), quiero saber, quisiera saber, necesito saber,
        una (pregunta|duda|consulta), pregunta, duda, que (pasa|hago|pasaria|sucede|procede),
        (can|could|may|should) i, is it possible, how (do|can|could) i, how, what (if|happens), question, posso,
        da para, da pra, consigo, como faco, como (posso|faz), e possivel, debo, deberia
    """,
    "please": """
        por favor, porfavor, porfa, porfis, porfi, porfita, porfas, por fa, por fis, x (favor|fa|fis), xfa, xfavor,
        xfis, pf, pls, plz, plis, please, kindly, favor (de|), hagame (el |)favor (de|),
        me (hace|haces|hacen) (el |)favor (de|), pfv, pfvr, se lo agradezco, se los agradezco, te lo agradezco,
        (le|les|te) agradeceria, por gentileza, gentileza, faz favor, si (es|fuera) tan amable, si eres tan amable,
        (sea|seas) tan amable
    """,
    "object": """
        mi (lugar|espacio), my (spot|slot), cita, turno, reserva, reservacion, consulta, sesion, visita,
        appointment, appt, apointment, time, slot, booking, reservation, session, hora, horario, horas,
        (la|lo) (de|del), horario reservado, agendamento, asistencia a la cita, sita, citita
    """,
    "objects": """
        citas, turnos, reservas, consultas, sesiones, appointments, bookings, ambas, ambos, las dos, los dos, both
    """,
    "date": """
        date, day, hoy, manana, pasado manana, ayer, lunes, martes, miercoles, jueves, viernes, sabado, domingo, enero,
        febrero, marzo, abril, mayo, junio, julio, agosto, septiembre, octubre, noviembre, diciembre, dia, dias,
        dia de hoy, fecha, mes, semana, esta semana, la (proxima|siguiente) semana, next week, fin de semana,
        proxim(o|a), siguiente, que viene, mediodia, medio dia, noche, madrugada,
        (en|por|de|a|para) la (manana|tarde|noche), esta (tarde|noche|manana), la (tarde|noche), las tardes,
        las mananas, tardes, (a|para) las, ese (dia|horario), esa (hora|fecha), temprano, y media, y cuarto,
        en punto, am, pm, today, todays, tomorrow, tomorrows, tonight, this (morning|afternoon|evening), morning,
        afternoon, evening, noon, week, monday, tuesday, wednesday, thursday, friday, saturday, sunday, january,
        february, march, april, june, july, august, september, october, november, december, next, hoje, amanha,
        depois de amanha, segunda, terca, quarta, quinta, sexta, feira, tarde da noite, de (manha|tarde|noite),
        a (tarde|noite), data, semana que vem, proxima semana
    """,
    "minutes": """
        min, mins, minuto, minutos, minutito, minutitos, minutillos, minute, minutes, minutinhos, segundos,
        media hora, un cuarto de hora, half an hour, meia hora
    """,
    "option": """
        opcion, opc, op, option, numero, num, nro, numeral, inciso, respuesta, mi respuesta es, elijo, escojo,
        marco, digito, presiono, oprimo, respondo, selecciono, number, opcao, resposta, escolho
    """,
    "because": """
        porque, xq, xque, pq, porq, porke, por que, ya que, debido a, es que, dado que, puesto que, a causa de,
        because, cause, cuz, since, due to, pois, devido a, ja que
    """,
    "reason": """
        (se me |se |me |)(descompuso|poncho|dano|avario) (el|mi|la) (carro|coche|auto|llanta|moto|camioneta), no me (dieron|dan|dejaron) permiso (en el trabajo|en mi trabajo|), (estoy|ando|sigo|amaneci|me siento|me encuentro|me puse) (muy |un poco |algo |bien |)(enferm(o|a)|mal|
            malit(o|a)| indispuest(o|a)|resfriad(o|a)|con gripa|con gripe|con fiebre|con covid|con tos|
            con temperatura|grave), me enferme, no me (siento|he sentido|encuentro) (muy |)bien,
        tengo (gripa|gripe|fiebre|covid|tos|temperatura|trabajo| mucho trabajo|junta|una junta|reunion|una reunion|
            clase|clases|examen|un examen|compromiso|un compromiso| otro compromiso|que trabajar|una emergencia|
            un imprevisto|un viaje|que salir|que viajar|un problema| un problema familiar|un contratiempo),
        (me |se me |nos |se |)(surgio|salio|presento|atraveso|complico) (algo|un imprevisto|una emergencia|
            un compromiso| un problema|un viaje|una junta|un pendiente|trabajo|un contratiempo|algo urgente|
            un asunto|), tuve (un|una) (imprevisto|emergencia|accidente|problema|contratiempo|percance|compromiso),
        (estoy|ando|estare) (de viaje|fuera|fuera de la ciudad|trabajando|en el trabajo|de baja|en cama|ocupad(o|
            a)),
        mi (hijo|hija|bebe|nino|nina|hijito|hijita|esposo|esposa|mama|papa|familia|perro|perrito|mascota)
            (se enfermo|esta enfermo|esta enferma|esta mal|amanecio mal|amanecio enfermo|amanecio enferma|
            se puso mal| se siente mal|no se siente bien|se accidento|tiene fiebre|esta en el hospital|esta malito|
            esta malita), my (son|daughter|kid|child|baby|wife|husband|mom|dad) is (sick|ill),
        (hubo |tuve |)(un |)cambio de planes, (me |se me |)(cambiaron|cambio) (los|mis|de) planes, cambie de planes,
        salgo de viaje, voy a salir de viaje, voy de viaje,
        por (motivos|cuestiones|temas|razones|asuntos|problemas|cuestion) (personales|familiares|laborales|
            economicos| de salud|de trabajo|de fuerza mayor|de tiempo|de viaje|medicos),
        por (enfermedad|trabajo|salud|viaje), no tengo (tiempo|dinero|con quien|quien me lleve),
        im (sick|ill|unwell|traveling|out of town|not feeling well|working), i am (sick|ill|unwell),
        i (have to work|have a fever|have covid|have an emergency|have a meeting|have a conflict|got sick),
        something came up, (estou|to) (doente|gripad(o|a)|com febre|viajando|passando mal),
        (me |)surgiu um (imprevisto|problema)
    """,
    "title": """
        doctor, doctora, dr, dra, doc, doctorcito, doctorcita, lic, licenciada, licenciado, senor, senora, senorita,
        srita, sr, sra, amiga, amigo, amigos, amigas, amix, guapa, guapo, reina, linda, hermosa, bella, jefe, jefa,
        maestra, maestro, dona, nena, corazon, equipo, chicas, chicos, muchachas, compa, bro, miss, mister, mr, ms,
        mrs, sir, madam, senhor, senhora, querida, querido, bonita, preciosa
    """,
    "with": "con, with, com",
    "name_next": """
        soy, habla, de parte de, this is, le saluda, te saluda, sou, aqui e, mi nombre es, me llamo, my name is
    """,
    "polite": """
        (muchas |mil |muchisimas |)gracias, gracias (a dios|a ti|a usted|a ustedes|igualmente|de nuevo), grax, grs,
        graciass, igualmente,
        (muchas |muchisimas |mil |)gracias por (avisar|avisarme|recordar|recordarme|recordarmelo|el recordatorio|
            su recordatorio|el mensaje|su mensaje|su atencion|todo|el aviso|la informacion|confirmar| su tiempo|
            tu tiempo|la comprension|su comprension|entender|tu apoyo|su apoyo|su ayuda|escribir|la confirmacion),
        hola, holi, holis, ola, buenos dias, buen dia, buenas (tardes|noches|), muy buenas (tardes|noches|),
        muy buenos dias, muy buen dia, bonit(o|a) (dia|tarde|noche), feliz (dia|tarde|noche),
        excelente (dia|tarde|noche), lind(o|a) (dia|tarde|noche),
        que (tenga|tengas|tengan|pase|pases|pasen) (muy |un |una |)(buen|buena|bonito|bonita|lindo|linda|excelente|
            feliz|bonit) (dia|tarde|noche|fin de semana), saludos, bendiciones, dios (te|le|les|los|me) bendiga,
        disculpa, disculpe, disculpen, perdon, perdona, perdone, perdonen, lo siento (mucho|), lo lamento,
        una disculpa, mil disculpas, mis disculpas, disculpas, mucha pena, que pena,
        perdon por (avisar|responder|contestar|la) (tan |) (tarde|tardanza|demora|molestia),
        (disculpa|disculpe|disculpen|perdon por|por) (la|las) (molestia|molestias),
        por (responder|contestar|avisar) (tan |)tarde, por (avisar|responder), de antemano, de nada, un abrazo,
        abrazos, un saludo, saludo, cordial saludo, cuidese, cuidate, agradezco, te agradezco, le agradezco,
        se agradece, primero dios, si dios quiere, dios mediante,
        no (te|se|os) (preocupes|preocupe|preocupen|apures|apure|apuren), no pasa nada, che,
        (disculpa|disculpe|perdon|perdona|perdone) (la|por la) (tardanza|demora),
        que (conteste|responda) (tan |)tarde, con permiso, oiga, oye, mira, muy amable, muy amables, que amable,
        de verdad, con todo respeto, thanks, thank (you|u) (so much|very much|a lot|), many thanks,
        thanks (so much|a lot|again), thx, ty, tysm, tks, hi, hello, hey, hi there,
        good (morning|afternoon|evening|day|night), sorry, so sorry, im (so |)sorry, i am sorry, i apologize,
        apologies, my apologies, regards, best regards, cheers, have a (nice|good|great) (day|one|evening|weekend),
        for (the|your) (reminder|message), obrigad(o|a), muito obrigad(o|a), brigad(o|a), oi, bom dia,
        boa (tarde|noite), desculpa, desculpe, me desculpe, valeu, abs, obg, tudo bem com voce,
        enviado desde mi (iphone|android|celular), sent from my (iphone|android|phone), hasta luego, adios, bye
    """,
    "glue": """
        (te|le|les) (aviso|comento|comunico|informo) que, (quiero|queria) (avisar|informar|avisarle|avisarles|informarle|informarles|comentarle|comentarles) que, solo para avisar que, la verdad, el, la, los, lo, un, una, mi, nuestra, de, del, a, al, en, que, y, e, ya, pues, entonces, ahora, ahorita,
        yo, me, nos, nosotros, este, esta, ese, esa, muy, tan, mas, es, seria, son, asi, tambien, les, le, las, mis,
        tengo, tenia, agendada, agendado, programada, programado, reservada, pendiente, medica, medico, dental,
        por medio de este, (a|en|de|desde|por) (este|mi) (numero|telefono|celular|medio|chat|whatsapp),
        por este medio, por aqui, por ahora, por el momento, asistir, ir, acudir, asistencia a mi, solamente,
        unicamente, total que, ps, pos, osea, o sea, inmediatamente, de inmediato, lamentablemente, im afraid,
        desafortunadamente, desgraciadamente, infelizmente, unfortunately, sadly, siempre, al final, finalmente,
        lo antes posible, cuanto antes, de una vez, the, my, an, to, of, for, on, in, at, i, it, is, will, be, this,
        and, so, our, well, then, just, now, scheduled, os, uma, meu, minha, da, em, na, eu, estou, marcada,
        (pra|para|por) mim, pra, pro
    """,
    "place": "aqui, ahi, alla, alli, aca, there, here, ai",
    "laugh": "xd, lol, lmao, rofl, jaja, haha, 😂, 🤣, 😜, 😝, 🤪, 😉, 😏, 😹",
}  # fmt: skip

# Words that mean this only as the whole message, apart from politeness.
ALONE: dict[Kind, str] = {
    "opt_out": """
        stop, stopall, stop all, unsubscribe, end, quit, revoke, optout, opt out, baja, bajas, alto, parar, pare,
        paren, parem, sair, arret, arreter, salir, desuscribir, desuscribirse, detener, dame de baja, stop mensajes,
        stop sms, alto mensajes, baja mensajes, baja sms
    """,
    "opt_in": """
        start, unstop, alta, subscribe, suscribir, suscribirme, suscribirse, resubscribe, optin, opt in,
        dar de alta, reactivar, alta mensajes, start mensajes
    """,
    "yes": """
        k, kk, y, s, ss, puedo, si puedo, si se puede, si podemos, podemos, i can, yes i can, posso, sim posso,
        pode ser, va va
    """,
    "no": "n, no puedo, no gracias",
    "attend": "voy, vamos, vou, vamos sim, coming, going, si estare, estare, i will, si ire, ahi, alla",
    "human": """
        persona, una persona, con una persona, alguien, con alguien, person, a person, someone, pessoa, uma pessoa,
        alguem, ayuda, help, ajuda, necesito ayuda, i need help, me ayudan, me ayudas, hablar, llamar, recepcion,
        recepcionista, gerente
    """,
    "move_weak": "cambio, cambiar, mover, cambiarla, moverla, change, mudar, trocar, modificar",
    "hedge": "puede, podria",
}  # fmt: skip

# Real words a slip of the finger away from one of ours: left as they are.
NOT_TYPOS = frozenset(
    "cancer canela candela carcel cancha cancelo conformo cambien personal personas operadores".split()
)

# Kinds that stand around what is said and change nothing about it, and those that end a clause.
AROUND: frozenset[Kind] = frozenset(("polite", "please", "decor", "title", "comma", "stop"))
BOUNDARIES: frozenset[Kind] = frozenset(("comma", "stop", "question"))
CANCELS: frozenset[Kind] = frozenset(("cancel", "cancel_polite", "cancel_other"))
MOVES: frozenset[Kind] = frozenset(("move", "move_weak", "carry", "another"))

_CHOICE = re.compile(r"\(([^()]*)\)")


def phrases(text: str) -> Iterator[str]:
    for entry in text.split(","):
        yield from _spelled_out(entry)


def _spelled_out(entry: str) -> Iterator[str]:
    choice = _CHOICE.search(entry)
    if choice is None:
        yield " ".join(entry.split())
        return
    for option in choice[1].split("|"):
        yield from _spelled_out(entry[: choice.start()] + option + entry[choice.end() :])


def _index(vocabulary: dict[Kind, str]) -> dict[str, Kind]:
    return {phrase: kind for kind, text in vocabulary.items() for phrase in phrases(text) if phrase}


PHRASES = _index(VOCABULARY)
WHOLE = _index(ALONE)
