# Erros pelo seu código estável

error-default = Não funcionou: { $message }
error-internal = Algo deu errado aqui. Foi anotado como { $id }; tente de novo.
error-not_found = Não existe tal coisa neste espaço.
error-insufficient_role = Seu papel não permite isso: { $action } exige { $role }.
error-forbidden = Você não pode fazer isso.
error-not_a_decider = Esta aprovação nomeia outras pessoas para decidir.
error-requester_excluded = Quem pediu não pode ser um dos que aprovam.
error-deputy_unknown = Ninguém neste espaço tem esse nome. Informe o nome de usuário: deputy @bob.
error-deputy_self = Ninguém substitui a si mesmo.
error-deputy_cannot = Essa pessoa não pode decidir segundo a política, então não pode substituir você.
error-stale_version = A pergunta mudou nesse meio-tempo. Veja o novo cartão.
error-stale_digest = O que foi mostrado não é o que seria executado. Veja o novo cartão.
error-approval_decided = Isto já foi decidido.
error-approval_expired = Esta aprovação venceu; não foi feito.
error-run_active = Esta tarefa já está em andamento.
error-illegal_move = A tarefa está em um estado que não permite isso.
error-undo_closed = Não há mais nada para desfazer.
error-not_uncertain = Isto já estava resolvido.
error-workspace_required = Escolha um espaço primeiro: /workspace
error-unavailable = Esta parte ainda não está pronta. Tente daqui a pouco.
error-rate_limited = Pedidos demais. Espere um momento.
error-ambiguous_id = Várias tarefas terminam assim. Dê mais caracteres.
error-invite = Este convite não serve: é desconhecido, usado ou vencido.
error-stranger = Ainda não conheço você. Escreva /start para mim em um chat privado primeiro.
error-private = Isto só funciona em um chat privado comigo.
error-old-button = Este botão não serve mais.
