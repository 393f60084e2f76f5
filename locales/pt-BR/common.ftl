# Palavras de uso geral

status-pending = não iniciada
status-queued = na fila
status-running = em andamento
status-awaiting_approval = aguarda aprovação
status-completed = concluída
status-failed = falhou
status-cancelled = cancelada

state-queued = Na fila
state-running = Trabalhando
state-awaiting_approval = Aguarda uma aprovação
state-waiting = Em espera
state-uncertain = Interrompido: decida, por favor
state-completed = Concluído
state-blocked = Bloqueado
state-budget_exhausted = Orçamento esgotado
state-failed = Falhou
state-cancelled = Cancelado

step-denied = recusado pelas regras
step-awaiting_approval = aguarda aprovação
step-approved = aprovado
step-rejected = negado
step-changes_requested = pedem mudanças
step-intent = em andamento
step-uncertain = interrompido
step-done = feito
step-failed = falhou
step-skipped = pulado
step-cancelled = cancelado

mode-discover = Descobrir
mode-decide = Decidir
mode-build = Construir
mode-launch = Lançar
mode-apply = Aplicar

role-member = membro
role-partner = parceiro
role-owner = dono

effect-0 = apenas calcula
effect-1 = lê
effect-2 = escreve dentro do Pilot
effect-3 = muda algo fora do Pilot
effect-4 = crítico

via-chat = no chat
via-mini_app = no app
via-api = pela API
via-cli = na linha de comando
via-system = pelo Pilot

open-app = Abrir o Pilot

# what a tool does, by its name with - for the point
tool-email-send = Envia um e-mail de texto a um endereço.
tool-finish = Encerra a execução e diz o que foi alcançado.
tool-http-get = Lê um endereço público da web. Devolve status, contentType, text e, se a resposta for JSON, json.
tool-http-post = Envia uma requisição POST a um endereço público da web, com JSON ou texto.
tool-knowledge-search = Encontra notas cujo título, texto ou etiquetas tenham todas as palavras.
tool-message-send = Envia uma mensagem ao fundador no Telegram.
tool-note-create = Escreve uma nota no conhecimento do espaço.
tool-operator-delegate = Passa uma parte do trabalho a outro operador do espaço e espera o resultado. Ele não pode usar mais do que quem delega, e gasta uma parte do orçamento.
tool-task-create = Cria outra tarefa neste espaço. Ela não é executada sozinha.
tool-wait-until = Pausa a execução até um horário ou por alguns segundos. Enquanto isso não custa nada.

# why a person is asked
why-effect-level = { $level ->
    [4] { $tool } é crítico (E4)
   *[other] { $tool } { $reach } (E{ $level })
}
why-approval-list = { $tool } sempre precisa de aprovação neste espaço

# why a run ended
ended-no-model = Ainda não há um modelo de IA configurado, então não consigo planejar isto. Configure um modelo no app ou escreva os passos você mesmo, por exemplo: 1. http.get url=https://example.com
ended-model-removed = Esta tarefa começou com um modelo de IA, e agora não há nenhum configurado. Configure um e execute a tarefa de novo.
ended-installation-budget = O orçamento deste servidor para modelos de IA acabou. Ele recomeça no próximo dia ou mês. Quem administra o servidor pode aumentá-lo, ou você pode adicionar sua própria chave de modelo nos ajustes.

# ready-made rules for a role
pack-design = Olha e faz rascunhos. Não tem motivo para enviar nada a serviços ou pessoas de fora.
pack-engineering = Lê e rascunha livremente. Uma pessoa decide o que é mesclado, implantado ou apagado, e os segredos nunca saem.
pack-growth = Escreve para pessoas de fora. Uma pessoa vê cada mensagem antes, e promessas e números nunca são inventados.
pack-ops = Dinheiro, contratos e contas. Pagar, assinar e mudar acessos é crítico, e números de conta nunca saem.
pack-product = Pesquisa, planeja e escreve. Sem aprovação, nada é publicado e nenhuma tarefa é criada em massa.
