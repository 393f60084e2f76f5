# Cartões de aprovação e respostas aos toques

card-title = Aprovação necessária: { $tool }
card-title-decided = Aprovação: { $tool }
card-what = O que aconteceria
card-input = Dados exatos
card-input-more = … o restante aparece no app
card-task = Tarefa: { $title }
card-asker = Pedido por um agente externo: { $who }
card-stands-in = Você está substituindo { $who }, que está ausente.
card-why = Por que perguntamos a você: { $reason }
card-effect = Impacto: { $effect } (E{ $level })
card-irreversible = Não pode ser desfeito
card-critical = Crítico: aprove no app, em até cinco minutos depois de abri-lo.
card-elsewhere = Os botões deste cartão não podem ser mostrados aqui. Decida em { $url } ou envie /approvals
card-instead = Algo espera sua decisão, mas o cartão não pode ser mostrado aqui. Decida em { $url } ou envie /approvals
card-where = No app: { $url }
buttons-elsewhere = Os botões desta mensagem não podem ser mostrados aqui. Você os encontra em { $url }
message-instead = Uma mensagem não pode ser mostrada aqui. Você a encontra em { $url }
card-nothing = Se ninguém decidir até lá, não será feito.
card-expires = Vence:
card-quorum = Aprovações: { $have } de { $need }
card-quorum-names = Aprovações: { $have } de { $need }: { $names }
card-owner-needed = Pelo menos um dono precisa aprovar.
card-unmet = ⚠️ Não há mais pessoas suficientes para aprovar isto. Se isso não mudar, vai expirar e não será feito.
card-digest = Impressão
card-version = versão { $version }
card-changed = Este pedido foi editado. Leia de novo antes de decidir.

button-approve = Aprovar
button-approve-in-app = Aprovar no app
button-deny = Negar
button-approve-number = ✅ { $number }
button-deny-number = ❌ { $number }
button-deny-reason = Negar com motivo
button-changes = Pedir mudanças
button-edit = Editar
button-grant = Permitir 1 h (esta tarefa)
button-open = Abrir
button-undo = Desfazer

outcome-approved = ✅ Aprovado por { $who }, { $where }
outcome-rejected = ❌ Negado por { $who }, { $where }
outcome-changes_requested = ✏️ Mudanças pedidas por { $who }, { $where }
outcome-expired = ⌛ Vencido: ninguém decidiu a tempo, então não foi feito
outcome-cancelled = ⚪ Retirado: a execução terminou
outcome-note = Nota: { $note }
outcome-undo = Executa depois de:
outcome-grant = Também permitido sem perguntar por um tempo (veja /grants)

reminder-1 = ⏰ Metade do tempo para decidir passou: { $tool } ({ $title }).
reminder-2 = ⏰ Resta pouco tempo para decidir: { $tool } ({ $title }). Se ninguém decidir, não será feito.
reminder-3 = ⏰ Último lembrete antes de vencer: { $tool } ({ $title }).

answer-approved = Aprovado. A execução continua.
answer-rejected = Negado.
answer-changes_requested = Mudanças pedidas. O operador verá a sua nota.
answer-granted = Aprovado, e permitido por 1 hora nesta tarefa.
answer-voted = Sua aprovação conta: { $have } de { $need }.
answer-undone = Desfeito. A chamada não será feita.
late = Já { $outcome } por { $who } { $where } em { $when }.
late-expired = Esta aprovação venceu; não foi feito.
late-cancelled = Esta aprovação foi retirada; a execução terminou.
late-word-approved = aprovado
late-word-rejected = negado
late-word-changes_requested = devolvido para mudanças
late-word-expired = vencido
late-word-cancelled = retirado

ask-deny = Por que não? Responda com o motivo para negar { $tool }. /cancel deixa em aberto.
ask-changes = O que deve mudar? Responda com as mudanças para { $tool }. /cancel deixa em aberto.
ask-edit = O que deve ser executado no lugar? Responda com a nova entrada de { $tool } em JSON. Isso cria uma nova versão que ainda precisa ser aprovada. /cancel deixa como está.
ask-deny-hint = Motivo para negar
ask-changes-hint = O que deve mudar
ask-edit-hint = Nova entrada em JSON
ask-closed = Nada foi decidido. A aprovação continua aberta.
reply-noted-rejected = Negado com o seu motivo.
reply-noted-changes_requested = Devolvido com a sua nota: mudanças pedidas. Nada foi aprovado.
reply-edited = Salvo como nova versão. Veja o cartão: ainda precisa ser aprovado.

approvals-none = Nenhuma aprovação pendente.
batch-title = { $count } pedidos de baixo risco
approvals-count =
    { $count ->
        [one] Há uma aprovação pendente:
       *[other] Há { $count } aprovações pendentes. As { $shown } mais recentes:
    }

uncertain-title = Interrompido: { $tool }
uncertain-text = A chamada foi interrompida. Pode ter acontecido ou não. Confira do outro lado e escolha.
uncertain-reason = O que se sabe: { $reason }
button-retry = Tentar de novo
button-skip = Pular
button-done = Já está feito
uncertain-settled = Resolvido: { $state }
answer-retry = Será tentado de novo.
answer-skip = Pulado.
answer-mark_done = Marcado como feito.
answer-cancelled = A execução foi cancelada.
answer-settled-before = Isto já estava resolvido.

grants-none = Nenhuma permissão temporária.
grants-title = Permissões temporárias
grant-line =
    { $uses ->
        [one] { $tool }: usada { $uses } vez, até
       *[other] { $tool }: usada { $uses } vezes, até
    }
grant-line-max = { $tool }: usada { $uses } de { $max } vezes, até
grant-task = para uma tarefa
grant-all = para todo o espaço
button-revoke = Revogar { $number }
answer-revoked = Revogada. A próxima chamada vai perguntar de novo.
