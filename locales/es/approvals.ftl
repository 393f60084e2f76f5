# Tarjetas de aprobación y respuestas a los toques

card-title = Se necesita aprobación: { $tool }
card-title-decided = Aprobación: { $tool }
card-what = Qué pasaría
card-input = Datos exactos
card-input-more = … el resto se ve en la aplicación
card-task = Tarea: { $title }
card-asker = Lo pide un agente externo: { $who }
card-stands-in = Sustituyes a { $who }, que está ausente.
card-why = Por qué necesita aprobación: { $reason }
card-effect = Alcance: { $effect } (E{ $level })
card-reversible = Se puede deshacer: { $answer }
card-critical = Crítico: se aprueba en la aplicación, en los cinco minutos siguientes a abrirla.
card-elsewhere = Los botones de esta tarjeta no se pueden mostrar aquí. Decida en { $url } o envíe /approvals
card-instead = Algo espera su decisión y su tarjeta no se puede mostrar aquí. Decida en { $url } o envíe /approvals
card-where = En la aplicación: { $url }
buttons-elsewhere = Los botones de este mensaje no se pueden mostrar aquí. Los encontrará en { $url }
message-instead = Un mensaje no se puede mostrar aquí. Lo encontrará en { $url }
card-nothing = Si nadie responde antes, no se hace.
card-expires = Vence:
card-quorum = Aprobaciones: { $have } de { $need }
card-quorum-names = Aprobaciones: { $have } de { $need }: { $names }
card-owner-needed = Entre quienes aprueben tiene que haber un propietario.
card-unmet = ⚠️ Quedan muy pocas personas que puedan aprobar esto. Así como está, vencerá, lo que significa no.
card-digest = Huella
card-version = versión { $version }
card-changed = Esta pregunta fue editada. Léala de nuevo antes de decidir.

button-approve = Aprobar
button-approve-in-app = Aprobar en la aplicación
button-deny = Denegar
button-approve-number = ✅ { $number }
button-deny-number = ❌ { $number }
button-deny-reason = Denegar con motivo
button-changes = Pedir cambios
button-edit = Editar
button-grant = Permitir 1 h (esta tarea)
button-open = Abrir
button-undo = Deshacer

outcome-approved = ✅ Aprobado por { $who }, { $where }
outcome-rejected = ❌ Denegado por { $who }, { $where }
outcome-changes_requested = ✏️ Cambios pedidos por { $who }, { $where }
outcome-expired = ⌛ Vencido: nadie decidió a tiempo, así que no se hizo
outcome-cancelled = ⚪ Retirado: la ejecución ha terminado
outcome-note = Nota: { $note }
outcome-undo = Se ejecuta después de:
outcome-grant = Con permiso para más llamadas (véase /grants)

reminder-1 = ⏰ Ha pasado la mitad del tiempo para decidir: { $tool } ({ $title }).
reminder-2 = ⏰ Queda poco tiempo para decidir: { $tool } ({ $title }). Sin respuesta no se hace.
reminder-3 = ⏰ Última llamada antes de que venza: { $tool } ({ $title }).

answer-approved = Aprobado. La ejecución continúa.
answer-rejected = Denegado.
answer-changes_requested = Cambios pedidos. Se avisa al operador.
answer-granted = Aprobado, y permitido durante 1 hora en esta tarea.
answer-voted = Tu aprobación cuenta: { $have } de { $need }.
answer-undone = Deshecho. La llamada no se hace.
late = Ya { $outcome } por { $who } { $where } el { $when }.
late-expired = Esta aprobación venció; no se hizo.
late-cancelled = Esta aprobación fue retirada; la ejecución ha terminado.
late-word-approved = aprobado
late-word-rejected = denegado
late-word-changes_requested = devuelto para cambios
late-word-expired = vencido
late-word-cancelled = retirado

ask-deny = ¿Por qué no? Responde con el motivo para denegar { $tool }. /cancel la deja abierta.
ask-changes = ¿Qué debería ser distinto? Responde con los cambios para { $tool }. /cancel la deja abierta.
ask-edit = ¿Qué debe ejecutarse en su lugar? Responde con la nueva entrada de { $tool } en JSON. Crea una versión nueva que aún hay que aprobar. /cancel la deja como está.
ask-deny-hint = Motivo para denegar
ask-changes-hint = Qué debe cambiar
ask-edit-hint = Nueva entrada en JSON
ask-closed = No se decidió nada. La aprobación sigue abierta.
reply-noted-rejected = Denegado con tu motivo.
reply-noted-changes_requested = Devuelto con tu nota: se pidieron cambios. No se aprobó nada.
reply-edited = Guardado como versión nueva. Mira la tarjeta: aún hay que aprobarla.

approvals-none = Nada espera aprobación.
batch-title = { $count } preguntas de poco alcance
approvals-count =
    { $count ->
        [one] Una aprobación espera. Se muestra { $shown }:
       *[other] { $count } aprobaciones esperan. Aquí las { $shown } más recientes:
    }

uncertain-title = Interrumpido: { $tool }
uncertain-text = La llamada se interrumpió en curso. Puede haber ocurrido o no. Compruébalo fuera y elige.
uncertain-reason = Lo que se sabe: { $reason }
button-retry = Reintentar
button-skip = Omitir
button-done = Ya está hecho
uncertain-settled = Resuelto: { $state }
answer-retry = Se intenta de nuevo.
answer-skip = Omitido.
answer-mark_done = Marcado como hecho.
answer-cancelled = La ejecución fue cancelada.
answer-settled-before = Esto ya estaba resuelto.

grants-none = No hay permisos permanentes.
grants-title = Permisos permanentes
grant-line =
    { $uses ->
        [one] { $tool }: usado { $uses } vez, hasta
       *[other] { $tool }: usado { $uses } veces, hasta
    }
grant-line-max = { $tool }: usado { $uses } de { $max } veces, hasta
grant-task = para una tarea
grant-all = para todo el espacio
button-revoke = Revocar { $number }
answer-revoked = Revocado. Las próximas llamadas preguntarán de nuevo.
