# Lo que dice el bot

bot-name = Pilot
bot-about = Operadores digitales que trabajan para ti con normas escritas. Nada importante ocurre sin tu decisión.
bot-description = Da una tarea a Pilot. Un operador planifica y llama a herramientas. Lo que las normas no permiten sin más te llega como tarjeta con botones. Cada decisión deja un recibo firmado.
menu-button = Pilot

cmd-start = empezar, o abrir de nuevo el chat
cmd-help = lo que sé hacer
cmd-task = dar una tarea: /task texto
cmd-tasks = sus tareas más recientes
cmd-run = repetir una tarea: /run id
cmd-cancel = parar una tarea o dejar una pregunta: /cancel id
cmd-approvals = lo que espera tu decisión
cmd-grants = permisos permanentes, con revocación
cmd-status = el espacio de un vistazo
cmd-operators = quién hace el trabajo
cmd-usage = lo que cuestan los modelos
cmd-mode = el modo en que trabaja el espacio
cmd-policy = qué pueden hacer los operadores, y cambiarlo
cmd-kill = parar todo: ninguna herramienta funciona
cmd-unkill = levantar la parada
cmd-receipt = comprobar un recibo: /receipt huella o id
cmd-verify = comprobar el registro de recibos
cmd-away = mensajes sin sonido: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = ajustes en la aplicación
cmd-language = elegir idioma
cmd-workspace = cambiar de espacio
cmd-whoami = quién creo que eres
cmd-stop = cerrar este chat

start-hello = Hola, { $name }. Esto es Pilot.
start-what = Escríbeme lo que quieres que se haga. Un operador trabaja paso a paso. Antes de que ocurra algo importante, recibes una tarjeta con Aprobar y Denegar. Cada decisión deja un recibo firmado que cualquiera puede comprobar.
start-workspace = Tu espacio: { $workspace }
start-begin = Escribe una tarea o prueba el ejemplo. /help lo muestra todo.
start-example = Probar un ejemplo
start-again = Hola de nuevo, { $name }. Escribe una tarea o mira /help.
start-joined = Te has unido al espacio { $workspace } como { $role }.
example-title = Tarea de ejemplo
example-queued = La tarea de ejemplo está en marcha.

help-title = Lo que sé hacer
help-free = Cualquier texto que me envíes es una tarea. Una respuesta a una tarjeta se toma como petición de cambios, nunca como aprobación.
help-groups = En grupos, escribe /task o mencióname.

task-usage = Escribe la tarea después del comando: /task Comparar tres ofertas de hosting
task-too-long = Una tarea tiene como mucho { $max } caracteres; esta tiene { $have }. No se creó nada.
task-created = Tarea creada: { $title }
tasks-none = Aún no hay tareas. Escribe una.
tasks-title = Tareas recientes
task-missing = ¿Qué tarea? Da el id como en /tasks: { $command } 1a2b
task-cancelled = Cancelada: { $title }
task-cancel-asked = Se detiene antes del próximo paso: { $title }
task-cancel-none = Nada que cancelar: esta tarea está { $status }.
nothing-to-cancel = No hay nada que cancelar. Para parar una tarea: /cancel con su id de /tasks
task-detail-status = Estado: { $status }
button-run-again = Repetir
button-cancel-task = Cancelar
button-open-task = Abrir
button-receipt = Recibo { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = El modelo está pensando …
progress-missed = Se perdió mientras Pilot no funcionaba; se ejecuta una vez ahora. Tocaba el
progress-more =
    { $count ->
        [one] … { $count } paso anterior
       *[other] … { $count } pasos anteriores
    }
progress-stopping = Se detiene antes del próximo paso.
result-receipt = Recibo { $hash }
result-none = (sin texto)
result-why = Por qué: { $error }

status-title = { $workspace }
status-mode = Modo: { $mode }
status-tasks = Tareas
status-none = aún no hay tareas
status-approvals = Esperan aprobación: { $count }
status-receipts = Recibos en el registro: { $count }
status-kill-on = 🛑 La parada está ACTIVA: ninguna herramienta funciona. /unkill la levanta.
status-kill-off = Parada: inactiva

usage-title = Modelos
usage-today = Hoy
usage-week = Siete días
usage-month = Este mes
usage-sum = llamadas: { $calls }, tokens: { $tokens }

mode-now = El espacio está en modo { $mode }. Elige otro:
mode-set = Modo: { $mode }.
policy-title = Las normas de este espacio
policy-from = Se pregunta a partir de { $level } ({ $effect })
policy-always = Siempre se pregunta por: { $tools }
policy-blocked = Bloqueado: { $tools }
policy-none = nada
policy-budgets = Presupuestos en dólares: tarea { $task }, operador al día { $operator }, día { $day }, parada de emergencia { $emergency }
policy-month = mes
policy-usage = Para cambiarlas: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (también task, operator, month, emergency). Todo lo demás está en la aplicación.
policy-button-tools = Herramientas bloqueadas
policy-tools-hint = ⛔ está bloqueada: un toque la libera. ▶ puede funcionar según las normas: un toque la bloquea.
policy-button-back = Volver a las normas
kill-confirm = ¿Parar todo? Ninguna herramienta funciona hasta /unkill. Lo que está en curso para antes del próximo paso.
unkill-confirm = ¿Levantar la parada? Las herramientas vuelven a funcionar según las normas.
button-kill = Parar todo
button-unkill = Seguir trabajando
button-leave = Dejarlo
kill-on = 🛑 Parado por { $who }. Ninguna herramienta funciona.
kill-off = Parada levantada por { $who }. El trabajo sigue.
left-as-is = No se cambió nada.

away-usage = Di cuánto: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. Hasta entonces los mensajes llegan sin sonido, salvo los críticos.
away-set = Sin sonido, salvo llamadas críticas, hasta:
away-deputy = { $who } te sustituye: allí se recuerdan las preguntas abiertas.
away-off = Los mensajes vuelven a sonar.

operators-none = Aún no hay operadores propios: trabaja el incorporado.
operators-title = Operadores
operator-line = { $name } ({ $role }): { $state }
operator-active = activo
operator-paused = en pausa

receipt-usage = Da la huella (8 caracteres o más) o el id: /receipt 1a2b3c4d
receipt-title = Recibo { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Número { $index } del registro
receipt-who = Por { $who }
receipt-when = El
receipt-good = ✅ La firma y el lugar en el registro son correctos.
receipt-bad = ❌ No es correcto: { $problem }
integrity-title = ⚠️ Algo guardado no es como se firmó
integrity-what = { $subject }: { $differs }
integrity-more = Y { $count } hallazgos más. Están entre las infracciones en la aplicación.
integrity-hint = Alguien o algo cambió la base de datos sin pasar por Pilot. No se hizo nada basándose en ello. Ejecute pilot doctor en el servidor.
card-altered = ⚠️ No es como se firmó: { $differs }
verify-good =
    { $size ->
        [one] ✅ El registro es correcto: { $size } recibo, { $checked } comprobado.
       *[other] ✅ El registro es correcto: { $size } recibos, los { $checked } más recientes comprobados uno a uno.
    }
verify-bad = ❌ El registro no es correcto: { $problem }
verify-root = Raíz
verify-offline = Para comprobar sin confiar en este servidor, exporta el archivo en la aplicación y ejecuta su verify.py.

settings-text = Modo, normas, presupuestos y personas se ajustan en la aplicación.
settings-no-app = Modo, normas, presupuestos y personas se ajustan en la aplicación web: { $url }
language-now = Idioma: { $language }. Elige:
language-set = Idioma: { $language }.
workspace-now = Estás en { $workspace } ({ $role }).
workspace-choose = Cambiar a:
workspace-set = Ahora estás en { $workspace }.
whoami = { $name }, { $role } de { $workspace }. Id de Telegram { $id }.
stopped = Este chat está cerrado: no envío nada más aquí. /start lo abre de nuevo. Tus tareas y aprobaciones siguen.
unknown-command = No conozco este comando. /help muestra lo que sé hacer.
only-text = Por ahora solo leo texto.
group-hello = Hola. En grupos respondo a comandos y a mensajes que me mencionan. Las tarjetas con botones van a los chats privados de quienes pueden decidir.
