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
why-approval-list = { $tool } требует одобрения в этом пространстве

# why a run ended
ended-no-model = Модель не настроена, а задача не расписана по шагам, поэтому планировать её некому. Добавьте модель в настройках или опишите задачу шагами, например: 1. http.get url=https://example.com
ended-installation-budget = Бюджет этой установки на модели исчерпан. Он обновится со следующим днём или месяцем; увеличить его может администратор установки, или добавьте в настройках собственный ключ модели.

# ready-made rules for a role
pack-design = Смотрит и делает наброски. Отправлять что-либо сервисам и людям снаружи ему незачем.
pack-engineering = Свободно читает и делает наброски. Слияние, развёртывание и удаление решает человек, ключи остаются внутри.
pack-growth = Пишет людям снаружи: каждое сообщение сначала видят, обещания и цифры не выдумываются.
pack-ops = Деньги, договоры и счета: платежи, подписи и смена доступа критичны, номера счетов остаются внутри.
pack-product = Исследует, планирует и пишет; ничего не публикуется, и план не превращается в россыпь задач незаметно.
