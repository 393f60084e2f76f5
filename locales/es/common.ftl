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
state-uncertain = Interrumpido, espera tu palabra
state-completed = Terminado
state-blocked = Bloqueado
state-budget_exhausted = Presupuesto agotado
state-stalled = Atascado
state-failed = Fallido
state-cancelled = Cancelado

step-denied = rechazado por las normas
step-awaiting_approval = espera aprobación
step-approved = aprobado
step-rejected = no aprobado
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
effect-3 = actúa fuera
effect-4 = crítico

via-chat = en el chat
via-mini_app = en la aplicación
via-api = por la API
via-cli = en la línea de comandos
via-system = por el sistema

yes = sí
no = no
open-app = Abrir Pilot
