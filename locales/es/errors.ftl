# Errores por su código estable

error-default = No ha funcionado: { $message }
error-internal = Algo ha fallado en Pilot. Quedó anotado como { $id }. Inténtalo de nuevo.
error-not_found = No se encontró en este espacio.
error-insufficient_role = { $role ->
    [owner] Solo un propietario puede { $action }.
    [partner] Solo un socio o un propietario puede { $action }.
   *[other] Aquí no puedes { $action }.
}
error-forbidden = No tienes permiso para hacer esto.
error-not_a_decider = Se ha designado a otras personas para decidirlo.
error-requester_excluded = Quien lo pidió no puede aprobarlo.
error-step_up_required = Esto es crítico: abre la app desde aquí y aprueba en menos de cinco minutos.
error-deputy_unknown = Nadie en este espacio se llama así. Da el nombre de usuario: deputy @bob.
error-deputy_self = No puedes ser tu propio suplente.
error-deputy_cannot = Las normas no permiten decidir a esa persona, así que no puede sustituirte.
error-not_json = Eso no es JSON válido. No se cambió nada.
error-duplicate_name = El nombre { $field } aparece dos veces en un mismo objeto. No se cambió nada.
error-json_too_deep = Ese JSON tiene demasiados niveles. No se cambió nada.
error-json_too_many = Ese JSON tiene demasiados valores. No se cambió nada.
error-json_too_large = Ese JSON es demasiado largo. No se cambió nada.
error-json_number = Ese JSON tiene un número demasiado grande. Ponlo entre comillas. No se cambió nada.
error-stale_version = Esta solicitud cambió desde que la viste. Léela de nuevo antes de decidir.
error-stale_digest = Lo que viste no es lo que se ejecutaría. Léelo de nuevo antes de decidir.
error-altered = Esto no coincide con lo firmado, así que no se hizo. Revisa los recibos.
error-approval_decided = Esto ya se decidió.
error-approval_expired = Esta aprobación venció; no se hizo.
error-run_active = Esta tarea ya está en curso.
error-operator_paused = El operador de esta tarea está en pausa. Actívalo o asigna la tarea a otro.
error-illegal_move = El estado actual de la tarea no lo permite.
error-undo_closed = Ya es tarde para deshacerlo.
error-not_uncertain = Esto ya estaba resuelto.
error-workspace_required = Elige primero un espacio: /workspace
error-unavailable = Esta parte aún no está lista. Inténtalo dentro de un momento.
error-rate_limited = Demasiadas peticiones. Espera un momento.
error-ambiguous_id = Varias tareas tienen un id que termina así. Escribe más caracteres.
error-invite = Esta invitación no sirve: es desconocida, ya se usó o ha vencido.
error-stranger = Aún no te conozco. Primero envíame /start en un chat privado.
error-sign_up_closed = El registro está cerrado aquí. Pide un enlace de invitación a alguien que ya use este Pilot.
error-private = Esto solo funciona en un chat privado conmigo.
error-old-button = Este botón ya no funciona.
