# O que o bot diz

bot-name = Pilot
bot-about = Operadores digitais que trabalham para você com regras escritas. Nada importante acontece sem a sua decisão.
bot-description = Dê uma tarefa ao Pilot. Um operador planeja e chama ferramentas. O que as regras não permitem direto chega a você como cartão com botões. Cada decisão deixa um recibo assinado.
menu-button = Pilot

cmd-start = começar, ou abrir o chat de novo
cmd-help = o que sei fazer
cmd-task = dar uma tarefa: /task texto
cmd-tasks = suas tarefas mais recentes
cmd-run = repetir uma tarefa: /run id
cmd-cancel = parar uma tarefa ou deixar uma pergunta: /cancel id
cmd-approvals = o que aguarda a sua decisão
cmd-grants = permissões permanentes, com revogação
cmd-status = o espaço de relance
cmd-operators = quem faz o trabalho
cmd-usage = o que os modelos custam
cmd-mode = o modo em que o espaço trabalha
cmd-policy = o que os operadores podem fazer, e mudar
cmd-kill = parar tudo: nenhuma ferramenta funciona
cmd-unkill = encerrar a parada
cmd-receipt = verificar um recibo: /receipt impressão ou id
cmd-verify = verificar o registro de recibos
cmd-away = mensagens sem som: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = ajustes no aplicativo
cmd-language = escolher o idioma
cmd-workspace = trocar de espaço
cmd-whoami = quem acho que você é
cmd-stop = fechar este chat

start-hello = Olá, { $name }. Este é o Pilot.
start-what = Escreva o que você quer que seja feito. Um operador trabalha passo a passo. Antes que algo importante aconteça, você recebe um cartão com Aprovar e Negar. Cada decisão deixa um recibo assinado que qualquer um pode verificar.
start-workspace = Seu espaço: { $workspace }
start-begin = Escreva uma tarefa ou experimente o exemplo. /help mostra tudo.
start-example = Experimentar um exemplo
start-again = Bem-vindo de volta, { $name }. Escreva uma tarefa ou veja /help.
start-joined = Você entrou no espaço { $workspace } como { $role }.
example-title = Tarefa de exemplo
example-queued = A tarefa de exemplo está a caminho.

help-title = O que sei fazer
help-free = Qualquer texto que você enviar é uma tarefa. Uma resposta a um cartão vale como pedido de mudanças, nunca como aprovação.
help-groups = Em grupos, escreva /task ou me mencione.

task-usage = Escreva a tarefa depois do comando: /task Comparar três hospedagens
task-too-long = Uma tarefa tem no máximo { $max } caracteres; esta tem { $have }. Nada foi criado.
task-created = Tarefa criada: { $title }
tasks-none = Ainda não há tarefas. Escreva uma.
tasks-title = Tarefas recentes
task-missing = Qual tarefa? Dê o id como em /tasks: { $command } 1a2b
task-cancelled = Cancelada: { $title }
task-cancel-asked = Para antes do próximo passo: { $title }
task-cancel-none = Nada para cancelar: esta tarefa está { $status }.
nothing-to-cancel = Não há nada para cancelar. Para parar uma tarefa: /cancel com o id de /tasks
task-detail-status = Estado: { $status }
button-run-again = Repetir
button-cancel-task = Cancelar
button-open-task = Abrir
button-receipt = Recibo { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = O modelo está pensando …
progress-missed = Perdida enquanto o Pilot não estava em execução; é executada uma vez agora. Era para
progress-more =
    { $count ->
        [one] … { $count } passo anterior
       *[other] … { $count } passos anteriores
    }
progress-stopping = Para antes do próximo passo.
result-receipt = Recibo { $hash }
result-none = (sem texto)
result-why = Por quê: { $error }

status-title = { $workspace }
status-mode = Modo: { $mode }
status-tasks = Tarefas
status-none = ainda não há tarefas
status-approvals = Aguardam aprovação: { $count }
status-receipts = Recibos no registro: { $count }
status-kill-on = 🛑 A parada está ATIVA: nenhuma ferramenta funciona. /unkill a encerra.
status-kill-off = Parada: inativa

usage-title = Modelos
usage-today = Hoje
usage-week = Sete dias
usage-month = Este mês
usage-sum = chamadas: { $calls }, tokens: { $tokens }

mode-now = O espaço está no modo { $mode }. Escolha outro:
mode-set = Modo: { $mode }.
policy-title = As regras deste espaço
policy-from = Pergunta-se a partir de { $level } ({ $effect })
policy-always = Sempre se pergunta sobre: { $tools }
policy-blocked = Bloqueado: { $tools }
policy-none = nada
policy-budgets = Orçamentos em dólares: tarefa { $task }, operador por dia { $operator }, dia { $day }, parada de emergência { $emergency }
policy-month = mês
policy-usage = Para mudar: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (também task, operator, month, emergency). Todo o resto está no aplicativo.
policy-button-tools = Ferramentas bloqueadas
policy-tools-hint = ⛔ está bloqueada: um toque libera. ▶ pode funcionar segundo as regras: um toque bloqueia.
policy-button-back = Voltar às regras
kill-confirm = Parar tudo? Nenhuma ferramenta funciona até /unkill. O que está em andamento para antes do próximo passo.
unkill-confirm = Encerrar a parada? As ferramentas voltam a funcionar conforme as regras.
button-kill = Parar tudo
button-unkill = Deixar continuar
button-leave = Deixar assim
kill-on = 🛑 Parado por { $who }. Nenhuma ferramenta funciona.
kill-off = Parada encerrada por { $who }. O trabalho continua.
left-as-is = Nada foi mudado.

away-usage = Diga por quanto tempo: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. Até lá as mensagens chegam sem som, exceto as críticas.
away-set = Sem som, exceto chamadas críticas, até:
away-deputy = { $who } substitui você: as perguntas em aberto são lembradas lá.
away-off = As mensagens voltam a ter som.

operators-none = Ainda não há operadores próprios: o embutido faz o trabalho.
operators-title = Operadores
operator-line = { $name } ({ $role }): { $state }
operator-active = ativo
operator-paused = em pausa

receipt-usage = Dê a impressão (8 caracteres ou mais) ou o id: /receipt 1a2b3c4d
receipt-title = Recibo { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Número { $index } do registro
receipt-who = Por { $who }
receipt-when = Em
receipt-good = ✅ A assinatura e o lugar no registro conferem.
receipt-bad = ❌ Não confere: { $problem }
integrity-title = ⚠️ Algo guardado não está como foi assinado
integrity-what = { $subject }: { $differs }
integrity-more = E mais { $count } achados. Estão entre as violações no aplicativo.
integrity-hint = Alguém ou algo mudou o banco de dados sem passar pelo Pilot. Nada foi feito com base nisso. Execute pilot doctor no servidor.
card-altered = ⚠️ Não está como foi assinado: { $differs }
verify-good =
    { $size ->
        [one] ✅ O registro confere: { $size } recibo, { $checked } verificado.
       *[other] ✅ O registro confere: { $size } recibos, os { $checked } mais recentes verificados um a um.
    }
verify-bad = ❌ O registro não confere: { $problem }
verify-root = Raiz
verify-offline = Para verificar sem confiar neste servidor, exporte o arquivo no aplicativo e execute o verify.py dele.

settings-text = Modo, regras, orçamentos e pessoas são ajustados no aplicativo.
settings-no-app = Modo, regras, orçamentos e pessoas são ajustados no aplicativo web: { $url }
language-now = Idioma: { $language }. Escolha:
language-set = Idioma: { $language }.
workspace-now = Você está em { $workspace } ({ $role }).
workspace-choose = Mudar para:
workspace-set = Agora você está em { $workspace }.
whoami = { $name }, { $role } de { $workspace }. Id do Telegram { $id }.
stopped = Este chat está fechado: não envio mais nada aqui. /start o abre de novo. Suas tarefas e aprovações continuam.
unknown-command = Não conheço este comando. /help mostra o que sei fazer.
only-text = Por enquanto só leio texto.
group-hello = Olá. Em grupos respondo a comandos e a mensagens que me mencionam. Os cartões com botões vão para os chats privados de quem pode decidir.
