# O que o bot diz

bot-name = Pilot
bot-about = Operadores digitais que trabalham para você com regras escritas. Nada importante acontece sem a sua decisão.
bot-description = Dê uma tarefa ao Pilot. Um operador planeja e chama ferramentas. Quando as regras mandam perguntar, você recebe um cartão com botões. Cada decisão deixa um recibo assinado.
menu-button = Pilot

cmd-start = começar, ou abrir o chat de novo
cmd-help = o que sei fazer
cmd-task = dar uma tarefa: /task texto
cmd-tasks = suas últimas tarefas
cmd-run = repetir uma tarefa: /run id
cmd-cancel = parar uma tarefa, ou voltar sem decidir
cmd-approvals = aprovações esperando por você
cmd-grants = permissões temporárias
cmd-status = uma visão geral do espaço
cmd-operators = seus operadores
cmd-usage = quanto custam os modelos de IA
cmd-mode = a fase atual do espaço
cmd-policy = o que os operadores podem fazer, e mudar
cmd-kill = parar tudo: nenhuma ferramenta pode rodar
cmd-unkill = permitir as ferramentas de novo
cmd-receipt = verificar um recibo: /receipt impressão ou id
cmd-verify = verificar o registro de recibos
cmd-away = silenciar até um horário, com substituto: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = abrir os ajustes no app
cmd-language = escolher o idioma
cmd-workspace = trocar de espaço
cmd-whoami = seu nome e papel aqui
cmd-stop = silenciar este chat

start-hello = Olá, { $name }. Este é o Pilot.
start-what = Escreva o que você quer que seja feito. Um operador trabalha passo a passo. Antes que algo importante aconteça, você recebe um cartão com Aprovar e Negar. Cada decisão deixa um recibo assinado que qualquer um pode verificar.
start-workspace = Seu espaço: { $workspace }
start-begin = Escreva uma tarefa ou experimente o exemplo. /help mostra tudo.
start-example = Experimentar um exemplo
start-again = Bem-vindo de volta, { $name }. Escreva uma tarefa ou veja /help.
start-joined = Você entrou no espaço { $workspace } como { $role }.
example-title = Tarefa de exemplo
example-queued = A tarefa de exemplo começou.

help-title = O que sei fazer
help-free = Qualquer mensagem que você me enviar vira uma tarefa. Responder a um cartão pede mudanças; nunca aprova.
help-groups = Em grupos, escreva /task ou me mencione.

task-usage = Escreva a tarefa depois do comando: /task Comparar três hospedagens
task-too-long = Uma tarefa tem no máximo { $max } caracteres; esta tem { $have }. Nada foi criado.
task-created = Tarefa criada: { $title }
tasks-none = Ainda não há tarefas. Escreva uma.
tasks-title = Tarefas recentes
task-missing = Qual tarefa? Informe o id que aparece em /tasks: { $command } 1a2b
task-cancelled = Cancelada: { $title }
task-cancel-asked = Vai parar antes do próximo passo: { $title }
task-cancel-none = Não há nada para cancelar: esta tarefa está { $status }.
nothing-to-cancel = Não há nada para cancelar. Para parar uma tarefa, envie /cancel com o id de /tasks
task-detail-status = Estado: { $status }
button-run-again = Repetir
button-cancel-task = Cancelar
button-open-task = Abrir
button-receipt = Recibo { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = O modelo está pensando …
progress-missed = O Pilot não estava rodando no horário previsto, então executa uma vez agora. Horário previsto:
progress-more =
    { $count ->
        [one] … { $count } passo anterior
       *[other] … { $count } passos anteriores
    }
progress-stopping = Vai parar antes do próximo passo.
result-receipt = Recibo { $hash }
result-none = (sem texto)
result-why = Por quê: { $error }

status-title = { $workspace }
status-mode = Modo: { $mode }
status-tasks = Tarefas
status-none = ainda não há tarefas
status-approvals = Aguardam aprovação: { $count }
status-receipts = Recibos no registro: { $count }
status-kill-on = 🛑 A chave de emergência está LIGADA: nenhuma ferramenta pode rodar. /unkill a desliga.
status-kill-off = Chave de emergência: desligada

usage-title = Modelos de IA
usage-today = Hoje
usage-week = Últimos sete dias
usage-month = Este mês
usage-sum = chamadas: { $calls }, tokens: { $tokens }

mode-now = O espaço está no modo { $mode }. Escolha outro:
mode-set = Modo: { $mode }.
policy-title = As regras deste espaço
policy-from = Pergunta a você a partir de { $level } ({ $effect })
policy-always = Sempre pergunta antes de: { $tools }
policy-blocked = Bloqueadas: { $tools }
policy-none = nenhuma
policy-budgets = Orçamentos em dólares: por tarefa { $task }, por operador por dia { $operator }, por dia { $day }, parada de emergência { $emergency }
policy-month = mês
policy-usage = Para mudar: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (também task, operator, month, emergency). Todo o resto está no app.
policy-button-tools = Ferramentas bloqueadas
policy-tools-hint = ⛔ bloqueada: toque para permitir. ▶ pode rodar conforme as regras: toque para bloquear.
policy-button-back = Voltar às regras
kill-confirm = Parar tudo? Nenhuma ferramenta poderá rodar até /unkill. O que está em andamento para antes do próximo passo.
unkill-confirm = Deixar as ferramentas rodarem de novo conforme as regras?
button-kill = Parar tudo
button-unkill = Retomar o trabalho
button-leave = Deixar como está
kill-on = 🛑 Parado por { $who }. Nenhuma ferramenta pode rodar.
kill-off = { $who } retomou o trabalho. As ferramentas podem rodar de novo.
left-as-is = Nada foi mudado.

away-usage = Diga por quanto tempo: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. Até lá as mensagens chegam sem som, exceto as críticas.
away-set = Sem som, exceto pedidos críticos, até:
away-deputy = { $who } substitui você e recebe suas aprovações pendentes.
away-off = As mensagens voltam a ter som.

operators-none = Você ainda não tem operadores. O embutido faz o trabalho.
operators-title = Operadores
operator-line = { $name } ({ $role }): { $state }
operator-active = ativo
operator-paused = em pausa

receipt-usage = Informe a impressão (8 caracteres ou mais) ou o id: /receipt 1a2b3c4d
receipt-title = Recibo { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Número { $index } do registro
receipt-who = Por { $who }
receipt-when = Em
receipt-good = ✅ Válido: a assinatura confere e o recibo está no registro.
receipt-bad = ❌ Este recibo NÃO é válido: { $problem }
integrity-title = ⚠️ Há dados guardados que não conferem com o que foi assinado
integrity-what = { $subject }: { $differs }
integrity-more =
    { $count ->
        [one] E mais um achado. O app mostra todos em “Recusado pelas regras”.
       *[other] E mais { $count } achados. O app mostra todos em “Recusado pelas regras”.
    }
integrity-hint = Alguém ou algo mudou o banco de dados sem passar pelo Pilot. O Pilot não fez nada com base nos dados alterados. Execute pilot doctor no servidor.
card-altered = ⚠️ Não confere com o que foi assinado: { $differs }
verify-good =
    { $size ->
        [one] ✅ O registro é válido: { $size } recibo, verificado.
       *[other] ✅ O registro é válido: { $size } recibos, os { $checked } mais recentes verificados um a um.
    }
verify-bad = ❌ O registro NÃO é válido: { $problem }
verify-root = Raiz
verify-offline = Para verificar sem confiar neste servidor, exporte o arquivo no app e execute o verify.py dele.
checkpoint-title = Ponto de controle de hoje do seu registro de recibos
checkpoint-size =
    { $size ->
        [one] O registro tem um recibo.
       *[other] O registro tem { $size } recibos.
    }
checkpoint-keep = Guarde esta mensagem. Com ela você pode mostrar mais tarde que ninguém reescreveu o registro.
checkpoint-none = ⚠️ Hoje não há ponto de controle
checkpoint-hint = Nada é acrescentado ao registro até que ele seja reparado. Execute pilot doctor no servidor.
installation-budget-title = ⚠️ O orçamento para chamadas a modelos acabou
installation-budget =
    O orçamento { $budget ->
        [day] de hoje
       *[month] deste mês
    } para as chaves próprias desta instalação não comporta outra chamada. As tarefas que usam essas chaves param aí; os espaços com chaves próprias continuam. Para mudar, use PILOT_BUDGET_DAY_USD e PILOT_BUDGET_MONTH_USD.

settings-text = Orçamentos, pessoas e os demais ajustes ficam no app. /mode e /policy também funcionam aqui.
settings-no-app = Orçamentos, pessoas e os demais ajustes ficam no app web: { $url }. /mode e /policy também funcionam aqui.
language-now = Idioma: { $language }. Escolha outro:
language-set = Idioma: { $language }.
workspace-now = Você está em { $workspace } ({ $role }).
workspace-choose = Mudar para:
workspace-set = Agora você está em { $workspace }.
whoami = { $name }, { $role } de { $workspace }. Id do Telegram { $id }.
stopped = Este chat está silenciado: não envio mais nada. /start ativa de novo. Suas tarefas e aprovações continuam.
unknown-command = Não conheço este comando. /help mostra o que sei fazer.
only-text = Por enquanto só leio texto.
group-hello = Olá. Em grupos respondo a comandos e a mensagens que me mencionam. Os cartões com botões vão para os chats privados de quem pode decidir.
