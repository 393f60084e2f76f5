# Что говорит бот

bot-name = Pilot
bot-about = Цифровые операторы работают на вас по записанным правилам. Ничего важного не происходит без вашего решения.
bot-description = Дайте Pilot задачу. Оператор планирует и вызывает инструменты. То, что правила не разрешают сразу, приходит вам карточкой с кнопками. Каждое решение оставляет подписанную квитанцию.
menu-button = Pilot

cmd-start = начать или снова открыть чат
cmd-help = что я умею
cmd-task = дать задачу: /task текст
cmd-tasks = ваши новейшие задачи
cmd-run = выполнить задачу снова: /run id
cmd-cancel = остановить задачу или оставить вопрос: /cancel id
cmd-approvals = что ждёт вашего решения
cmd-grants = постоянные разрешения и их отзыв
cmd-status = пространство одним взглядом
cmd-operators = кто делает работу
cmd-usage = сколько стоят модели
cmd-mode = режим, в котором работает пространство
cmd-policy = что можно операторам, и как это изменить
cmd-kill = остановить всё: инструменты не работают
cmd-unkill = снять остановку
cmd-receipt = проверить квитанцию: /receipt отпечаток или id
cmd-verify = проверить журнал квитанций
cmd-away = сообщения без звука: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = настройки в приложении
cmd-language = выбрать язык
cmd-workspace = сменить пространство
cmd-whoami = кем я вас считаю
cmd-stop = закрыть этот чат

start-hello = Здравствуйте, { $name }. Это Pilot.
start-what = Напишите, что нужно сделать. Оператор сделает это шаг за шагом. Прежде чем случится что-то важное, вы получите карточку с кнопками «Одобрить» и «Отклонить». Каждое решение оставляет подписанную квитанцию, которую может проверить любой.
start-workspace = Ваше пространство: { $workspace }
start-begin = Просто напишите задачу или попробуйте пример. /help покажет всё.
start-example = Попробовать пример
start-again = С возвращением, { $name }. Напишите задачу или откройте /help.
start-joined = Вы вошли в пространство { $workspace }, роль: { $role }.
example-title = Пример задачи
example-queued = Пример выполняется.

help-title = Что я умею
help-free = Любой ваш текст становится задачей. Ответ на карточку понимается как просьба изменить и никогда как одобрение.
help-groups = В группах пишите /task или упоминайте меня.

task-usage = Напишите задачу после команды: /task Сравнить три хостинга
task-too-long = В задаче не больше { $max } знаков; здесь { $have }. Ничего не создано.
task-created = Задача создана: { $title }
tasks-none = Задач ещё нет. Просто напишите одну.
tasks-title = Последние задачи
task-missing = Какую задачу? Укажите id как в /tasks: { $command } 1a2b
task-cancelled = Отменено: { $title }
task-cancel-asked = Остановится перед следующим шагом: { $title }
task-cancel-none = Отменять нечего: эта задача { $status }.
nothing-to-cancel = Отменять нечего. Чтобы остановить задачу: /cancel и её id из /tasks
task-detail-status = Состояние: { $status }
button-run-again = Ещё раз
button-cancel-task = Отменить
button-open-task = Открыть
button-receipt = Квитанция { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = Модель думает …
progress-missed = Пропущено, пока Pilot не работал; запускается один раз сейчас. Срок был
progress-more =
    { $count ->
        [one] … ещё { $count } шаг раньше
        [few] … ещё { $count } шага раньше
       *[other] … ещё { $count } шагов раньше
    }
progress-stopping = Остановится перед следующим шагом.
result-receipt = Квитанция { $hash }
result-none = (без текста)
result-why = Почему: { $error }

status-title = { $workspace }
status-mode = Режим: { $mode }
status-tasks = Задачи
status-none = задач ещё нет
status-approvals = Ждут решения: { $count }
status-receipts = Квитанций в журнале: { $count }
status-kill-on = 🛑 Остановка включена: инструменты не работают. /unkill её снимет.
status-kill-off = Остановка: выключена

usage-title = Модели
usage-today = Сегодня
usage-week = Семь дней
usage-month = Этот месяц
usage-sum = запросов: { $calls }, токенов: { $tokens }

mode-now = Режим пространства: { $mode }. Выберите другой:
mode-set = Режим: { $mode }.
policy-title = Правила этого пространства
policy-from = Спрашивать начиная с { $level } ({ $effect })
policy-always = Всегда спрашивать о: { $tools }
policy-blocked = Запрещено: { $tools }
policy-none = ничего
policy-budgets = Бюджеты в долларах: задача { $task }, оператор в день { $operator }, день { $day }, аварийная остановка { $emergency }
policy-month = месяц
policy-usage = Изменить: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (также task, operator, month, emergency). Всё остальное — в приложении.
policy-button-tools = Запрещённые инструменты
policy-tools-hint = ⛔ запрещён: нажатие разрешит. ▶ работает по правилам: нажатие запретит.
policy-button-back = Назад к правилам
kill-confirm = Остановить всё? Инструменты не будут работать до /unkill. Идущая работа встанет перед следующим шагом.
unkill-confirm = Снять остановку? Инструменты снова заработают по правилам.
button-kill = Остановить всё
button-unkill = Продолжить работу
button-leave = Оставить
kill-on = 🛑 Всё остановлено: { $who }. Инструменты не работают.
kill-off = Остановка снята: { $who }. Работа продолжается.
left-as-is = Ничего не изменено.

away-usage = Укажите срок: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. До него сообщения приходят без звука, кроме критичных.
away-set = Без звука, кроме критичных вызовов, до:
away-deputy = Вас замещает { $who }: об открытых вопросах напомнят там.
away-off = Сообщения снова со звуком.

operators-none = Своих операторов пока нет: работу делает встроенный.
operators-title = Операторы
operator-line = { $name } ({ $role }): { $state }
operator-active = работает
operator-paused = на паузе

receipt-usage = Укажите отпечаток (8 знаков или больше) или id: /receipt 1a2b3c4d
receipt-title = Квитанция { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Номер { $index } в журнале
receipt-who = Кто: { $who }
receipt-when = Когда
receipt-good = ✅ Подпись и место в журнале верны.
receipt-bad = ❌ Неверно: { $problem }
integrity-title = ⚠️ В хранилище не то, что было подписано
integrity-what = { $subject }: { $differs }
integrity-more = И ещё находок: { $count }. Все они среди нарушений в приложении.
integrity-hint = Кто-то или что-то изменило базу данных в обход Pilot. На основании этого ничего не сделано. Запустите pilot doctor на сервере.
card-altered = ⚠️ Не то, что было подписано: { $differs }
verify-good =
    { $size ->
        [one] ✅ Журнал цел: { $size } квитанция, последние { $checked } проверены по одной.
        [few] ✅ Журнал цел: { $size } квитанции, последние { $checked } проверены по одной.
       *[other] ✅ Журнал цел: { $size } квитанций, последние { $checked } проверены по одной.
    }
verify-bad = ❌ Журнал повреждён: { $problem }
verify-root = Корень
verify-offline = Чтобы проверить без доверия к этому серверу, выгрузите архив в приложении и запустите его verify.py.

settings-text = Режим, правила, бюджеты и люди настраиваются в приложении.
settings-no-app = Режим, правила, бюджеты и люди настраиваются в веб-приложении: { $url }
language-now = Язык: { $language }. Выберите:
language-set = Язык: { $language }.
workspace-now = Вы в пространстве { $workspace } ({ $role }).
workspace-choose = Перейти в:
workspace-set = Теперь вы в пространстве { $workspace }.
whoami = { $name }, { $role } пространства { $workspace }. Telegram id { $id }.
stopped = Этот чат закрыт: больше я сюда не пишу. /start откроет его снова. Задачи и вопросы остаются.
unknown-command = Я не знаю этой команды. /help покажет, что я умею.
only-text = Пока я читаю только текст.
group-hello = Здравствуйте. В группах я отвечаю на команды и на сообщения с моим именем. Карточки с кнопками приходят в личные чаты тем, кто может решать.
