# Слова для всех мест

status-pending = не начата
status-queued = в очереди
status-running = выполняется
status-awaiting_approval = ждёт решения
status-completed = выполнена
status-failed = не удалась
status-cancelled = отменена

state-queued = В очереди
state-running = В работе
state-awaiting_approval = Ждёт решения
state-waiting = Ждёт
state-uncertain = Прервано, нужен ваш ответ
state-completed = Готово
state-blocked = Остановлено
state-budget_exhausted = Бюджет исчерпан
state-stalled = Застряло
state-failed = Не удалось
state-cancelled = Отменено

step-denied = отклонено правилами
step-awaiting_approval = ждёт решения
step-approved = одобрено
step-rejected = не одобрено
step-changes_requested = просят изменить
step-intent = выполняется
step-uncertain = прервано
step-done = готово
step-failed = не удалось
step-skipped = пропущено
step-cancelled = отменено

mode-discover = Поиск
mode-decide = Решение
mode-build = Создание
mode-launch = Запуск
mode-apply = Применение

role-member = участник
role-partner = партнёр
role-owner = владелец

effect-0 = только вычисляет
effect-1 = читает
effect-2 = пишет внутри Pilot
effect-3 = действует снаружи
effect-4 = критично

via-chat = в чате
via-mini_app = в приложении
via-api = через API
via-cli = в командной строке
via-system = системой

yes = да
no = нет
open-app = Открыть Pilot
