# Palabras de uso general

status-pending = sin empezar
status-queued = en cola
status-running = en curso
status-awaiting_approval = espera aprobación
status-completed = terminada
status-failed = fallida
status-cancelled = cancelada

state-queued = En cola
state-running = Trabajando
state-awaiting_approval = Espera una aprobación
state-waiting = En espera
state-uncertain = Interrumpido: decide, por favor
state-completed = Terminado
state-blocked = Bloqueado
state-budget_exhausted = Presupuesto agotado
state-failed = Fallido
state-cancelled = Cancelado

step-denied = rechazado por las normas
step-awaiting_approval = espera aprobación
step-approved = aprobado
step-rejected = denegado
step-changes_requested = se piden cambios
step-intent = en curso
step-uncertain = interrumpido
step-done = hecho
step-failed = fallido
step-skipped = omitido
step-cancelled = cancelado

mode-discover = Descubrir
mode-decide = Decidir
mode-build = Construir
mode-launch = Lanzar
mode-apply = Aplicar

role-member = miembro
role-partner = socio
role-owner = propietario

effect-0 = solo calcula
effect-1 = lee
effect-2 = escribe dentro de Pilot
effect-3 = cambia algo fuera de Pilot
effect-4 = crítico

via-chat = en el chat
via-mini_app = en la app
via-api = por la API
via-cli = en la línea de comandos
via-system = por Pilot

open-app = Abrir Pilot

# what a tool does, by its name with - for the point
tool-email-send = Envía un correo de texto a una dirección.
tool-finish = Termina la ejecución y dice qué se logró.
tool-http-get = Lee una dirección web pública. Devuelve status, contentType, text y, si la respuesta es JSON, json.
tool-http-post = Envía una solicitud POST a una dirección web pública, con JSON o con texto.
tool-knowledge-search = Busca notas cuyo título, texto o etiquetas contengan todas las palabras.
tool-message-send = Envía un mensaje al fundador en Telegram.
tool-note-create = Escribe una nota en el conocimiento del espacio.
tool-operator-delegate = Encarga una parte del trabajo a otro operador del espacio y espera el resultado. No puede hacer más que quien delega y gasta una parte de su presupuesto.
tool-task-create = Crea otra tarea en este espacio. No se ejecuta sola.
tool-wait-until = Pausa la ejecución hasta una hora o unos segundos. Mientras tanto no cuesta nada.

# why a person is asked
why-effect-level = { $level ->
    [4] { $tool } es crítico (E4)
   *[other] { $tool } { $reach } (E{ $level })
}
why-approval-list = { $tool } siempre necesita aprobación en este espacio

# why a run ended
ended-no-model = Aún no hay ningún modelo de IA configurado, así que no puedo planificar esto. Configura un modelo en la app o escribe tú los pasos, por ejemplo: 1. http.get url=https://example.com
ended-model-removed = Esta tarea se inició con un modelo de IA y ahora no hay ninguno configurado. Configura uno y ejecuta la tarea otra vez.
ended-installation-budget = El presupuesto de este servidor para modelos de IA se ha agotado. Empieza de nuevo con el próximo día o mes. Quien administra el servidor puede ampliarlo, o puedes añadir tu propia clave de modelo en los ajustes.

# ready-made rules for a role
pack-design = Mira y hace borradores. No tiene motivo para enviar nada a servicios ni personas de fuera.
pack-engineering = Lee y redacta libremente. Una persona decide qué se fusiona, se despliega o se borra, y los secretos nunca salen.
pack-growth = Escribe a personas de fuera. Una persona ve antes cada mensaje, y las promesas y cifras nunca se inventan.
pack-ops = Dinero, contratos y cuentas. Pagar, firmar y cambiar accesos es crítico, y los números de cuenta nunca salen.
pack-product = Investiga, planifica y escribe. No publica nada ni crea tareas en masa sin aprobación.
