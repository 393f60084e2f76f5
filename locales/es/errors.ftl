# Errores por su código estable

error-default = No funcionó: { $message }
error-internal = Algo falló aquí. Se anotó como { $id }; inténtelo de nuevo.
error-not_found = No existe tal cosa en este espacio.
error-insufficient_role = Tu rol no lo permite: { $action } requiere { $role }.
error-forbidden = No puede hacer esto.
error-not_a_decider = Esta aprobación nombra a otras personas para decidir.
error-requester_excluded = Quien lo pidió no puede ser uno de los que aprueban.
error-deputy_unknown = Nadie en este espacio se llama así. Da el nombre de usuario: deputy @bob.
error-deputy_self = Nadie se sustituye a sí mismo.
error-deputy_cannot = Esa persona no puede decidir según la política, así que no puede sustituirte.
error-stale_version = La pregunta cambió mientras tanto. Mire la tarjeta nueva.
error-stale_digest = Lo mostrado no es lo que se ejecutaría. Mire la tarjeta nueva.
error-approval_decided = Esto ya se decidió.
error-approval_expired = Esta aprobación venció; no se hizo.
error-run_active = Esta tarea ya está en curso.
error-illegal_move = La tarea está en un estado que no permite esto.
error-undo_closed = Ya no hay nada que deshacer.
error-not_uncertain = Esto ya estaba resuelto.
error-workspace_required = Elige primero un espacio: /workspace
error-unavailable = Esta parte aún no está lista. Inténtelo en un momento.
error-rate_limited = Demasiadas peticiones. Espere un momento.
error-ambiguous_id = Varias tareas terminan así. Dé más caracteres.
error-invite = Esta invitación no sirve: es desconocida, usada o vencida.
error-stranger = Aún no le conozco. Escríbame /start en un chat privado primero.
error-private = Esto solo funciona en un chat privado conmigo.
error-old-button = Este botón ya no sirve.
