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
state-uncertain = Interrompido, aguarda sua palavra
state-completed = Concluído
state-blocked = Bloqueado
state-budget_exhausted = Orçamento esgotado
state-stalled = Travado
state-failed = Falhou
state-cancelled = Cancelado

step-denied = recusado pelas regras
step-awaiting_approval = aguarda aprovação
step-approved = aprovado
step-rejected = não aprovado
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
effect-3 = age fora
effect-4 = crítico

via-chat = no chat
via-mini_app = no aplicativo
via-api = pela API
via-cli = na linha de comando
via-system = pelo sistema

yes = sim
no = não
open-app = Abrir o Pilot
