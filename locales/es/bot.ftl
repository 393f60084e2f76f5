# Lo que dice el bot

bot-name = Pilot
bot-about = Operadores digitales que trabajan para usted bajo una política escrita. Nada importante ocurre sin su decisión.
bot-description = Dé una tarea a Pilot. Un operador planifica y llama a herramientas. Lo que la política no permite sin más le llega como tarjeta con botones. Cada decisión deja un recibo firmado.
menu-button = Pilot

cmd-start = empezar, o abrir de nuevo el chat
cmd-help = lo que sé hacer
cmd-task = dar una tarea: /task texto
cmd-tasks = sus tareas más recientes
cmd-run = repetir una tarea: /run id
cmd-cancel = parar una tarea o dejar una pregunta: /cancel id
cmd-approvals = lo que espera su decisión
cmd-grants = permisos permanentes, con revocación
cmd-status = el espacio de un vistazo
cmd-operators = quién hace el trabajo
cmd-mode = la fase en que trabaja el espacio
cmd-kill = parar todo: ninguna herramienta funciona
cmd-unkill = terminar la parada
cmd-receipt = comprobar un recibo: /receipt huella o id
cmd-verify = comprobar el registro de recibos
cmd-away = mensajes sin sonido: /away 2h, /away off
cmd-settings = ajustes en la aplicación
cmd-language = elegir idioma
cmd-workspace = cambiar de espacio
cmd-whoami = quién creo que es usted
cmd-stop = cerrar este chat

start-hello = Hola, { $name }. Esto es Pilot.
start-what = Escríbame lo que quiere que se haga. Un operador trabaja paso a paso. Antes de que ocurra algo importante, recibe una tarjeta con Aprobar y Denegar. Cada decisión deja un recibo firmado que cualquiera puede comprobar.
start-workspace = Su espacio: { $workspace }
start-begin = Escriba una tarea o pruebe el ejemplo. /help lo muestra todo.
start-example = Probar un ejemplo
start-again = Bienvenido de nuevo, { $name }. Escriba una tarea o vea /help.
start-joined = Se unió al espacio { $workspace } como { $role }.
example-title = Ejemplo: una nota y una pregunta para usted
example-queued = La tarea de ejemplo está en marcha.

help-title = Lo que sé hacer
help-free = Cualquier texto que me envíe es una tarea. Una respuesta a una tarjeta se toma como petición de cambios, nunca como aprobación.
help-groups = En grupos, escriba /task o mencióneme.

task-usage = Escriba la tarea tras la orden: /task Comparar tres ofertas de hosting
task-too-long = Una tarea tiene como mucho { $max } caracteres; esta tiene { $have }. No se creó nada.
task-created = Tarea creada: { $title }
tasks-none = Aún no hay tareas. Escriba una.
tasks-title = Tareas recientes
task-missing = ¿Qué tarea? Dé el id como en /tasks: { $command } 1a2b
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
status-mode = Fase: { $mode }
status-tasks = Tareas
status-none = aún no hay tareas
status-approvals = Esperan aprobación: { $count }
status-receipts = Recibos en el registro: { $count }
status-kill-on = 🛑 La parada está ACTIVA: ninguna herramienta funciona. /unkill la termina.
status-kill-off = Parada: inactiva

mode-now = El espacio está en la fase { $mode }. Elija otra:
mode-set = Fase: { $mode }.
kill-confirm = ¿Parar todo? Ninguna herramienta funciona hasta /unkill. Lo que está en curso para antes del próximo paso.
unkill-confirm = ¿Terminar la parada? Las herramientas vuelven a funcionar según la política.
button-kill = Parar todo
button-unkill = Seguir trabajando
button-leave = Dejarlo
kill-on = 🛑 Parado por { $who }. Ninguna herramienta funciona.
kill-off = La parada terminó. { $who } dejó seguir el trabajo.
left-as-is = No se cambió nada.

away-usage = Diga cuánto: /away 2h, /away 3d, /away off. Hasta entonces los mensajes llegan sin sonido, salvo los críticos.
away-set = Sin sonido, salvo llamadas críticas, hasta:
away-off = Los mensajes vuelven a sonar.

operators-none = Aún no hay operadores propios: trabaja el incorporado.
operators-title = Operadores
operator-line = { $name } ({ $role }): { $state }
operator-active = activo
operator-paused = en pausa

receipt-usage = Dé la huella (8 caracteres o más) o el id: /receipt 1a2b3c4d
receipt-title = Recibo { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Número { $index } del registro
receipt-who = Por { $who }
receipt-when = El
receipt-good = ✅ La firma y el lugar en el registro son correctos.
receipt-bad = ❌ No es correcto: { $problem }
verify-good =
    { $size ->
        [one] ✅ El registro es correcto: { $size } recibo, { $checked } comprobado.
       *[other] ✅ El registro es correcto: { $size } recibos, los { $checked } más recientes comprobados uno a uno.
    }
verify-bad = ❌ El registro no es correcto: { $problem }
verify-root = Raíz
verify-offline = Para comprobar sin confiar en este servidor, exporte el archivo en la aplicación y ejecute su verify.py.

settings-text = Fase, política, presupuestos y personas se ajustan en la aplicación.
settings-no-app = Fase, política, presupuestos y personas se ajustan en la aplicación web: { $url }
language-now = Idioma: { $language }. Elija:
language-set = Idioma: { $language }.
workspace-now = Está en { $workspace } ({ $role }).
workspace-choose = Cambiar a:
workspace-set = Ahora está en { $workspace }.
whoami = { $name }, { $role } de { $workspace }. Id de Telegram { $id }.
stopped = Este chat está cerrado: no envío nada más aquí. /start lo abre de nuevo. Sus tareas y aprobaciones siguen.
unknown-command = No conozco esta orden. /help muestra lo que sé hacer.
only-text = Por ahora solo leo texto.
group-hello = Hola. En grupos respondo a órdenes y a mensajes que me mencionan. Las tarjetas con botones van a los chats privados de quienes pueden decidir.
