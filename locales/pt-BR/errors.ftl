# Erros pelo seu código estável

error-default = Não funcionou: { $message }
error-internal = Algo deu errado aqui. Foi anotado como { $id }; tente de novo.
error-not_found = Não encontrado neste espaço.
error-insufficient_role = { $role ->
    [owner] Só um dono pode { $action }.
    [partner] Só um parceiro ou um dono pode { $action }.
   *[other] Aqui você não pode { $action }.
}
error-forbidden = Você não tem permissão para fazer isto.
error-not_a_decider = Outras pessoas foram indicadas para decidir isto.
error-requester_excluded = Quem pediu não pode aprovar.
error-step_up_required = Isto é crítico: abra o app por aqui e aprove em até cinco minutos.
error-deputy_unknown = Ninguém neste espaço tem esse nome. Informe o nome de usuário: deputy @bob.
error-deputy_self = Você não pode substituir a si mesmo.
error-deputy_cannot = As regras não permitem que essa pessoa decida, então ela não pode substituir você.
error-not_json = Isso não é um JSON válido. Nada foi alterado.
error-duplicate_name = O nome { $field } aparece duas vezes no mesmo objeto. Nada foi alterado.
error-json_too_deep = Esse JSON tem níveis demais. Nada foi alterado.
error-json_too_many = Esse JSON tem valores demais. Nada foi alterado.
error-json_too_large = Esse JSON é longo demais. Nada foi alterado.
error-json_number = Esse JSON tem um número grande demais. Coloque-o entre aspas. Nada foi alterado.
error-stale_version = Este pedido mudou desde que você o viu. Leia de novo antes de decidir.
error-stale_digest = O que você viu não é o que seria executado. Leia de novo antes de decidir.
error-altered = Isto não confere com o que foi assinado, por isso não foi feito. Confira os recibos.
error-approval_decided = Isto já foi decidido.
error-approval_expired = Esta aprovação venceu; não foi feito.
error-run_active = Esta tarefa já está em andamento.
error-operator_paused = O operador desta tarefa está em pausa. Ative-o ou passe a tarefa para outro.
error-illegal_move = O estado atual da tarefa não permite isto.
error-undo_closed = É tarde demais para desfazer.
error-not_uncertain = Isto já estava resolvido.
error-workspace_required = Escolha um espaço primeiro: /workspace
error-unavailable = Esta parte ainda não está pronta. Tente daqui a pouco.
error-rate_limited = Pedidos demais. Espere um momento.
error-ambiguous_id = Várias tarefas têm um id que termina assim. Digite mais caracteres.
error-invite = Este convite não serve: é desconhecido, já foi usado ou venceu.
error-stranger = Ainda não conheço você. Primeiro me envie /start em um chat privado.
error-sign_up_closed = O cadastro está fechado aqui. Peça um link de convite a alguém que já usa este Pilot.
error-private = Isto só funciona em um chat privado comigo.
error-old-button = Este botão não funciona mais.
