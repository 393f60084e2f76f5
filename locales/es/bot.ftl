# Lo que dice el bot

bot-name = Pilot
bot-about = Operadores digitales que trabajan para ti con normas escritas. Nada importante ocurre sin tu decisión.
bot-description = Dale una tarea a Pilot. Un operador la planifica y llama a herramientas. Cuando las normas piden preguntarte, recibes una tarjeta con botones. Cada decisión deja un recibo firmado.
menu-button = Pilot

cmd-start = empezar, o abrir de nuevo el chat
cmd-help = lo que sé hacer
cmd-task = dar una tarea: /task texto
cmd-tasks = tus últimas tareas
cmd-run = repetir una tarea: /run id
cmd-cancel = detener una tarea, o volver sin decidir
cmd-approvals = aprobaciones que te esperan
cmd-grants = permisos temporales
cmd-status = un vistazo al espacio
cmd-operators = tus operadores
cmd-usage = lo que cuestan los modelos de IA
cmd-mode = la fase actual del espacio
cmd-policy = qué pueden hacer los operadores, y cambiarlo
cmd-kill = parar todo: ninguna herramienta puede ejecutarse
cmd-unkill = permitir otra vez las herramientas
cmd-receipt = comprobar un recibo: /receipt huella o id
cmd-verify = comprobar el registro de recibos
cmd-away = silencio hasta una hora, con suplente: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = ajustes en la app
cmd-language = elegir idioma
cmd-workspace = cambiar de espacio
cmd-whoami = tu nombre y tu rol aquí
cmd-stop = silenciar este chat

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
help-free = Cualquier mensaje que me envíes se convierte en una tarea. Responder a una tarjeta pide cambios; nunca aprueba.
help-groups = En grupos, escribe /task o mencióname.

task-usage = Escribe la tarea después del comando: /task Comparar tres ofertas de hosting
task-too-long = Una tarea tiene como mucho { $max } caracteres; esta tiene { $have }. No se creó nada.
task-created = Tarea creada: { $title }
tasks-none = Aún no hay tareas. Escribe una.
tasks-title = Tareas recientes
task-missing = ¿Qué tarea? Añade su id, como aparece en /tasks: { $command } 1a2b
task-cancelled = Cancelada: { $title }
task-cancel-asked = Se detendrá antes del próximo paso: { $title }
task-cancel-none = No hay nada que cancelar: esta tarea está { $status }.
nothing-to-cancel = No hay nada que cancelar. Para parar una tarea, envía /cancel con su id de /tasks
task-detail-status = Estado: { $status }
button-run-again = Repetir
button-cancel-task = Cancelar
button-open-task = Abrir
button-receipt = Recibo { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = El modelo está pensando …
progress-missed = Pilot no estaba en marcha a la hora prevista, así que se ejecuta una vez ahora. Hora prevista:
progress-more =
    { $count ->
        [one] … { $count } paso anterior
       *[other] … { $count } pasos anteriores
    }
progress-stopping = Se detendrá antes del próximo paso.
result-receipt = Recibo { $hash }
result-none = (sin texto)
result-why = Por qué: { $error }

status-title = { $workspace }
status-mode = Modo: { $mode }
status-tasks = Tareas
status-none = aún no hay tareas
status-approvals = Esperan aprobación: { $count }
status-receipts = Recibos en el registro: { $count }
status-kill-on = 🛑 El interruptor de emergencia está ACTIVADO: ninguna herramienta puede ejecutarse. /unkill lo desactiva.
status-kill-off = Interruptor de emergencia: desactivado

usage-title = Modelos de IA
usage-today = Hoy
usage-week = Últimos siete días
usage-month = Este mes
usage-sum = llamadas: { $calls }, tokens: { $tokens }

mode-now = El espacio está en modo { $mode }. Elige otro:
mode-set = Modo: { $mode }.
policy-title = Las normas de este espacio
policy-from = Te pregunta a partir de { $level } ({ $effect })
policy-always = Siempre pregunta antes de: { $tools }
policy-blocked = Bloqueadas: { $tools }
policy-none = ninguna
policy-budgets = Presupuestos en dólares: por tarea { $task }, por operador y día { $operator }, por día { $day }, parada de emergencia { $emergency }
policy-month = mes
policy-usage = Para cambiarlas: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (también task, operator, month, emergency). Todo lo demás está en la app.
policy-button-tools = Herramientas bloqueadas
policy-tools-hint = ⛔ bloqueada: toca para permitirla. ▶ puede ejecutarse según las normas: toca para bloquearla.
policy-button-back = Volver a las normas
kill-confirm = ¿Parar todo? Ninguna herramienta podrá ejecutarse hasta /unkill. Lo que está en marcha se detiene antes de su siguiente paso.
unkill-confirm = ¿Dejar que las herramientas se ejecuten otra vez según las normas?
button-kill = Parar todo
button-unkill = Reanudar el trabajo
button-leave = Dejarlo como está
kill-on = 🛑 Parado por { $who }. Ninguna herramienta puede ejecutarse.
kill-off = { $who } reanudó el trabajo. Las herramientas pueden ejecutarse otra vez.
left-as-is = No se cambió nada.

away-usage = Di durante cuánto tiempo: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. Hasta entonces los mensajes llegan sin sonido, salvo los críticos.
away-set = Sin sonido, salvo las solicitudes críticas, hasta:
away-deputy = { $who } te sustituye y recibe tus aprobaciones pendientes.
away-off = Los mensajes vuelven a sonar.

operators-none = Aún no tienes operadores. El incorporado hace el trabajo.
operators-title = Operadores
operator-line = { $name } ({ $role }): { $state }
operator-active = activo
operator-paused = en pausa

receipt-usage = Añade la huella (8 caracteres o más) o el id: /receipt 1a2b3c4d
receipt-title = Recibo { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Número { $index } del registro
receipt-who = Por { $who }
receipt-when = El
receipt-good = ✅ Válido: la firma es correcta y el recibo está en el registro.
receipt-bad = ❌ Este recibo NO es válido: { $problem }
integrity-title = ⚠️ Hay datos guardados que no coinciden con lo firmado
integrity-what = { $subject }: { $differs }
integrity-more =
    { $count ->
        [one] Y un hallazgo más. La app los muestra todos en «Rechazado por las normas».
       *[other] Y { $count } hallazgos más. La app los muestra todos en «Rechazado por las normas».
    }
integrity-hint = Alguien o algo cambió la base de datos sin pasar por Pilot. Pilot no hizo nada a partir de los datos cambiados. Ejecuta pilot doctor en el servidor.
card-altered = ⚠️ No coincide con lo firmado: { $differs }
verify-good =
    { $size ->
        [one] ✅ El registro es válido: { $size } recibo, comprobado.
       *[other] ✅ El registro es válido: { $size } recibos, los { $checked } más recientes comprobados uno a uno.
    }
verify-bad = ❌ El registro NO es válido: { $problem }
verify-root = Raíz
verify-offline = Para comprobar sin confiar en este servidor, exporta el archivo en la app y ejecuta su verify.py.
checkpoint-title = Punto de control de hoy de tu registro de recibos
checkpoint-size =
    { $size ->
        [one] El registro tiene un recibo.
       *[other] El registro tiene { $size } recibos.
    }
checkpoint-keep = Guarda este mensaje. Con él podrás demostrar más adelante que nadie reescribió el registro.
checkpoint-none = ⚠️ Hoy no hay punto de control
checkpoint-hint = No se añade nada al registro hasta que se repare. Ejecuta pilot doctor en el servidor.
installation-budget-title = ⚠️ El presupuesto para llamadas a modelos se agotó
installation-budget =
    El presupuesto { $budget ->
        [day] de hoy
       *[month] de este mes
    } para las claves propias de esta instalación no alcanza para otra llamada. Las tareas que usan estas claves se detienen ahí; los espacios con claves propias siguen. Se cambia con PILOT_BUDGET_DAY_USD y PILOT_BUDGET_MONTH_USD.

settings-text = Los presupuestos, las personas y el resto de los ajustes están en la app. /mode y /policy también funcionan aquí.
settings-no-app = Los presupuestos, las personas y el resto de los ajustes están en la app web: { $url }. /mode y /policy también funcionan aquí.
language-now = Idioma: { $language }. Elige otro:
language-set = Idioma: { $language }.
workspace-now = Estás en { $workspace } ({ $role }).
workspace-choose = Cambiar a:
workspace-set = Ahora estás en { $workspace }.
whoami = { $name }, { $role } de { $workspace }. Id de Telegram { $id }.
stopped = Este chat está silenciado: no enviaré nada más. /start lo reactiva. Tus tareas y aprobaciones siguen ahí.
unknown-command = No conozco este comando. /help muestra lo que sé hacer.
only-text = Por ahora solo leo texto.
group-hello = Hola. En grupos respondo a comandos y a mensajes que me mencionan. Las tarjetas con botones van a los chats privados de quienes pueden decidir.
