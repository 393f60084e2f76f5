# Tarjetas de aprobación y respuestas a los toques

card-title = Se necesita aprobación: { $tool }
card-title-decided = Aprobación: { $tool }
card-what = Qué pasaría
card-input = Datos exactos
card-input-more = … el resto se ve en la app
card-task = Tarea: { $title }
card-asker = Lo pide un agente externo: { $who }
card-stands-in = Sustituyes a { $who }, que está fuera.
card-why = Por qué se te pregunta: { $reason }
card-effect = Impacto: { $effect } (E{ $level })
card-irreversible = No se puede deshacer
card-critical = Crítico: apruébalo en la app, dentro de los cinco minutos siguientes a abrirla.
card-elsewhere = Los botones de esta tarjeta no se pueden mostrar aquí. Decide en { $url } o envía /approvals
card-instead = Algo espera tu decisión, pero su tarjeta no se puede mostrar aquí. Decide en { $url } o envía /approvals
card-where = En la app: { $url }
buttons-elsewhere = Los botones de este mensaje no se pueden mostrar aquí. Los encontrarás en { $url }
message-instead = Un mensaje no se puede mostrar aquí. Lo encontrarás en { $url }
card-nothing = Si nadie decide antes, no se hará.
card-expires = Vence:
card-quorum = Aprobaciones: { $have } de { $need }
card-quorum-names = Aprobaciones: { $have } de { $need }: { $names }
card-owner-needed = Al menos un propietario tiene que aprobar.
card-unmet = ⚠️ Ya no hay suficientes personas que puedan aprobarlo. Si eso no cambia, caducará y no se hará.
card-digest = Huella
card-version = versión { $version }
card-changed = Esta solicitud se editó. Léela de nuevo antes de decidir.

button-approve = Aprobar
button-approve-in-app = Aprobar en la app
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
outcome-grant = También permitido sin preguntar durante un tiempo (ver /grants)

reminder-1 = ⏰ Ha pasado la mitad del tiempo para decidir: { $tool } ({ $title }).
reminder-2 = ⏰ Queda poco tiempo para decidir: { $tool } ({ $title }). Si nadie decide, no se hará.
reminder-3 = ⏰ Último recordatorio antes de que venza: { $tool } ({ $title }).

answer-approved = Aprobado. La ejecución continúa.
answer-rejected = Denegado.
answer-changes_requested = Cambios pedidos. El operador verá tu nota.
answer-granted = Aprobado, y permitido durante 1 hora en esta tarea.
answer-voted = Tu aprobación cuenta: { $have } de { $need }.
answer-undone = Deshecho. La llamada no se hará.
late = Ya { $outcome } por { $who } { $where } el { $when }.
late-expired = Esta aprobación venció; no se hizo.
late-cancelled = Esta aprobación fue retirada; la ejecución ha terminado.
late-word-approved = aprobado
late-word-rejected = denegado
late-word-changes_requested = devuelto para cambios
late-word-expired = vencido
late-word-cancelled = retirado

ask-deny = ¿Por qué no? Responde con el motivo para denegar { $tool }. /cancel la deja abierta.
ask-changes = ¿Qué debe cambiar? Responde con los cambios para { $tool }. /cancel la deja abierta.
ask-edit = ¿Qué debe ejecutarse en su lugar? Responde con la nueva entrada de { $tool } en JSON. Crea una versión nueva que aún hay que aprobar. /cancel la deja como está.
ask-deny-hint = Motivo para denegar
ask-changes-hint = Qué debe cambiar
ask-edit-hint = Nueva entrada en JSON
ask-closed = No se decidió nada. La aprobación sigue abierta.
reply-noted-rejected = Denegado con tu motivo.
reply-noted-changes_requested = Devuelto con tu nota: se pidieron cambios. No se aprobó nada.
reply-edited = Guardado como versión nueva. Mira la tarjeta: aún hay que aprobarla.

approvals-none = No hay aprobaciones pendientes.
batch-title = { $count } solicitudes de bajo riesgo
approvals-count =
    { $count ->
        [one] Hay una aprobación pendiente:
       *[other] Hay { $count } aprobaciones pendientes. Las { $shown } más recientes:
    }

uncertain-title = Interrumpido: { $tool }
uncertain-text = La llamada se interrumpió. Puede que se haya hecho o puede que no. Compruébalo en el otro lado y elige.
uncertain-reason = Lo que se sabe: { $reason }
button-retry = Reintentar
button-skip = Omitir
button-done = Ya está hecho
uncertain-settled = Resuelto: { $state }
answer-retry = Se intenta otra vez.
answer-skip = Omitido.
answer-mark_done = Marcado como hecho.
answer-cancelled = La ejecución fue cancelada.
answer-settled-before = Esto ya estaba resuelto.

grants-none = No hay permisos temporales.
grants-title = Permisos temporales
grant-line =
    { $uses ->
        [one] { $tool }: usado { $uses } vez, hasta
       *[other] { $tool }: usado { $uses } veces, hasta
    }
grant-line-max = { $tool }: usado { $uses } de { $max } veces, hasta
grant-task = para una tarea
grant-all = para todo el espacio
button-revoke = Revocar { $number }
answer-revoked = Revocado. La próxima llamada volverá a preguntar.
