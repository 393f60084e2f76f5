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
state-uncertain = Прервано — решите, пожалуйста
state-completed = Готово
state-blocked = Остановлено
state-budget_exhausted = Бюджет исчерпан
state-failed = Не удалось
state-cancelled = Отменено

step-denied = отклонено правилами
step-awaiting_approval = ждёт решения
step-approved = одобрено
step-rejected = отклонено
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
effect-3 = меняет что-то вне Pilot
effect-4 = критично

via-chat = в чате
via-mini_app = в приложении
via-api = через API
via-cli = в командной строке
via-system = самим Pilot

open-app = Открыть Pilot

# what a tool does, by its name with - for the point
tool-email-send = Отправить текстовое письмо на один адрес.
tool-finish = Завершить запуск и сказать, что сделано.
tool-http-get = Прочитать открытый веб-адрес. Возвращает status, contentType, text и, если ответ в JSON, json.
tool-http-post = Отправить POST-запрос на открытый веб-адрес, с JSON или текстом.
tool-knowledge-search = Найти заметки, в названии, тексте или метках которых есть все слова.
tool-message-send = Отправить сообщение основателю в Telegram.
tool-note-create = Записать заметку в знания пространства.
tool-operator-delegate = Поручить часть работы другому оператору пространства и дождаться результата. Ему можно не больше, чем поручившему, и тратит он часть его бюджета.
tool-task-create = Создать ещё одну задачу в пространстве. Сама она не запускается.
tool-wait-until = Приостановить запуск до времени или на несколько секунд. Ожидание ничего не стоит.

# why a person is asked
why-effect-level = { $level ->
    [4] { $tool } — критично (E4)
   *[other] { $tool } { $reach } (E{ $level })
}
why-approval-list = { $tool } в этом пространстве всегда требует одобрения

# why a run ended
ended-no-model = Модель ИИ пока не настроена, поэтому спланировать это нельзя. Настройте модель в приложении или напишите шаги сами, например: 1. http.get url=https://example.com
ended-model-removed = Эта задача была начата с моделью ИИ, а сейчас модель не настроена. Настройте модель и запустите задачу снова.
ended-installation-budget = Бюджет этого сервера на модели ИИ исчерпан. Он обновится со следующим днём или месяцем. Увеличить его может администратор сервера; можно и добавить собственный ключ модели в настройках.

# ready-made rules for a role
pack-design = Смотрит и делает наброски. Отправлять что-либо сервисам и людям снаружи ему незачем.
pack-engineering = Свободно читает и готовит черновики. Что слить, развернуть или удалить, решает человек; секреты не покидают пространство.
pack-growth = Пишет людям снаружи. Каждое сообщение сначала видит человек, обещания и цифры не выдумываются.
pack-ops = Деньги, договоры и счета. Платежи, подписи и смена доступа критичны; номера счетов не покидают пространство.
pack-product = Исследует, планирует и пишет. Ничего не публикует и не создаёт задачи пачками без одобрения.
