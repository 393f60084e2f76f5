# Что говорит бот

bot-name = Pilot
bot-about = Цифровые операторы работают на вас по записанным правилам. Ничего важного не происходит без вашего решения.
bot-description = Дайте Pilot задачу. Оператор планирует и вызывает инструменты. Когда по правилам нужно спросить вас, приходит карточка с кнопками. Каждое решение оставляет подписанную квитанцию.
menu-button = Pilot

cmd-start = начать или снова открыть чат
cmd-help = что я умею
cmd-task = дать задачу: /task текст
cmd-tasks = ваши последние задачи
cmd-run = выполнить задачу снова: /run id
cmd-cancel = остановить задачу или вернуться, ничего не решив
cmd-approvals = запросы, которые ждут вас
cmd-grants = временные разрешения
cmd-status = пространство вкратце
cmd-operators = ваши операторы
cmd-usage = сколько стоят модели ИИ
cmd-mode = текущий этап работы пространства
cmd-policy = что можно операторам, и как это изменить
cmd-kill = остановить всё: ни один инструмент не работает
cmd-unkill = снова разрешить инструменты
cmd-receipt = проверить квитанцию: /receipt отпечаток или id
cmd-verify = проверить журнал квитанций
cmd-away = без звука до срока, с заместителем: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = настройки в приложении
cmd-language = выбрать язык
cmd-workspace = сменить пространство
cmd-whoami = ваше имя и роль здесь
cmd-stop = отключить этот чат

start-hello = Здравствуйте, { $name }. Это Pilot.
start-what = Напишите, что нужно сделать. Оператор сделает это шаг за шагом. Прежде чем случится что-то важное, вы получите карточку с кнопками «Одобрить» и «Отклонить». Каждое решение оставляет подписанную квитанцию, которую может проверить любой.
start-workspace = Ваше пространство: { $workspace }
start-begin = Просто напишите задачу или попробуйте пример. /help покажет всё.
start-example = Попробовать пример
start-again = С возвращением, { $name }. Напишите задачу или откройте /help.
start-joined = Вы вошли в пространство { $workspace }, роль: { $role }.
example-title = Пример задачи
example-queued = Пример запущен.

help-title = Что я умею
help-free = Любое ваше сообщение становится задачей. Ответ на карточку — это просьба изменить; он никогда ничего не одобряет.
help-groups = В группах пишите /task или упоминайте меня.

task-usage = Напишите задачу после команды: /task Сравнить три хостинга
task-too-long = В задаче не больше { $max } знаков; здесь { $have }. Ничего не создано.
task-created = Задача создана: { $title }
tasks-none = Задач ещё нет. Просто напишите одну.
tasks-title = Последние задачи
task-missing = Какую задачу? Добавьте её id из /tasks: { $command } 1a2b
task-cancelled = Отменено: { $title }
task-cancel-asked = Остановится перед следующим шагом: { $title }
task-cancel-none = Отменять нечего: эта задача { $status }.
nothing-to-cancel = Отменять нечего. Чтобы остановить задачу, отправьте /cancel и её id из /tasks
task-detail-status = Состояние: { $status }
button-run-again = Ещё раз
button-cancel-task = Отменить
button-open-task = Открыть
button-receipt = Квитанция { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = Модель думает …
progress-missed = Когда подошёл срок, Pilot не работал, поэтому выполняется один раз сейчас. Срок был
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
status-kill-on = 🛑 Аварийный выключатель ВКЛЮЧЁН: ни один инструмент не работает. /unkill его выключит.
status-kill-off = Аварийный выключатель: выключен

usage-title = Модели ИИ
usage-today = Сегодня
usage-week = Последние семь дней
usage-month = Этот месяц
usage-sum = запросов: { $calls }, токенов: { $tokens }

mode-now = Режим пространства: { $mode }. Выберите другой:
mode-set = Режим: { $mode }.
policy-title = Правила этого пространства
policy-from = Спрашивает вас начиная с { $level } ({ $effect })
policy-always = Всегда спрашивает перед: { $tools }
policy-blocked = Запрещено: { $tools }
policy-none = ничего
policy-budgets = Бюджеты в долларах: на задачу { $task }, на оператора в день { $operator }, на день { $day }, аварийная остановка { $emergency }
policy-month = месяц
policy-usage = Изменить: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (также task, operator, month, emergency). Всё остальное — в приложении.
policy-button-tools = Запрещённые инструменты
policy-tools-hint = ⛔ запрещён: нажмите, чтобы разрешить. ▶ работает по правилам: нажмите, чтобы запретить.
policy-button-back = Назад к правилам
kill-confirm = Остановить всё? Ни один инструмент не будет работать до /unkill. Идущая работа остановится перед следующим шагом.
unkill-confirm = Снова разрешить инструментам работать по правилам?
button-kill = Остановить всё
button-unkill = Продолжить работу
button-leave = Оставить как есть
kill-on = 🛑 Всё остановлено: { $who }. Ни один инструмент не работает.
kill-off = Работу возобновили: { $who }. Инструменты снова работают.
left-as-is = Ничего не изменено.

away-usage = Укажите срок: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. До него сообщения приходят без звука, кроме критичных.
away-set = Без звука, кроме критичных запросов, до:
away-deputy = Вас замещает { $who } и получает ваши открытые запросы.
away-off = Сообщения снова со звуком.

operators-none = Своих операторов пока нет. Работу делает встроенный.
operators-title = Операторы
operator-line = { $name } ({ $role }): { $state }
operator-active = работает
operator-paused = на паузе

receipt-usage = Добавьте отпечаток (8 знаков или больше) или id: /receipt 1a2b3c4d
receipt-title = Квитанция { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Номер { $index } в журнале
receipt-who = Кто: { $who }
receipt-when = Когда
receipt-good = ✅ Действительна: подпись верна, квитанция есть в журнале.
receipt-bad = ❌ Квитанция НЕДЕЙСТВИТЕЛЬНА: { $problem }
integrity-title = ⚠️ Сохранённые данные не совпадают с подписанными
integrity-what = { $subject }: { $differs }
integrity-more =
    { $count ->
        [one] И ещё { $count } находка. Все они — в приложении, в разделе «Отказы по правилам».
        [few] И ещё { $count } находки. Все они — в приложении, в разделе «Отказы по правилам».
       *[other] И ещё { $count } находок. Все они — в приложении, в разделе «Отказы по правилам».
    }
integrity-hint = Кто-то или что-то изменило базу данных в обход Pilot. По изменённым данным Pilot ничего не делал. Запустите pilot doctor на сервере.
card-altered = ⚠️ Не совпадает с подписанным: { $differs }
verify-good =
    { $size ->
        [one] ✅ Журнал действителен: { $size } квитанция, последние { $checked } проверены по одной.
        [few] ✅ Журнал действителен: { $size } квитанции, последние { $checked } проверены по одной.
       *[other] ✅ Журнал действителен: { $size } квитанций, последние { $checked } проверены по одной.
    }
verify-bad = ❌ Журнал НЕДЕЙСТВИТЕЛЕН: { $problem }
verify-root = Корень
verify-offline = Чтобы проверить без доверия к этому серверу, выгрузите архив в приложении и запустите его verify.py.
checkpoint-title = Контрольная точка вашего журнала квитанций за сегодня
checkpoint-size =
    { $size ->
        [one] В журнале { $size } квитанция.
        [few] В журнале { $size } квитанции.
       *[other] В журнале { $size } квитанций.
    }
checkpoint-keep = Сохраните это сообщение. С ним вы сможете позже показать, что журнал никто не переписал.
checkpoint-none = ⚠️ Сегодня контрольной точки нет
checkpoint-hint = В журнал ничего не добавляется, пока его не восстановят. Запустите pilot doctor на сервере.
installation-budget-title = ⚠️ Бюджет на запросы к моделям исчерпан
installation-budget =
    Бюджета { $budget ->
        [day] на сегодня
       *[month] на этот месяц
    } для собственных ключей этой установки не хватает на ещё один запрос. Задачи с этими ключами на этом останавливаются; пространства со своими ключами работают дальше. Изменить его можно настройками PILOT_BUDGET_DAY_USD и PILOT_BUDGET_MONTH_USD.

settings-text = Бюджеты, люди и остальные настройки — в приложении. /mode и /policy работают и здесь.
settings-no-app = Бюджеты, люди и остальные настройки — в веб-приложении: { $url }. /mode и /policy работают и здесь.
language-now = Язык: { $language }. Выберите другой:
language-set = Язык: { $language }.
workspace-now = Вы в пространстве { $workspace } ({ $role }).
workspace-choose = Перейти в:
workspace-set = Теперь вы в пространстве { $workspace }.
whoami = { $name }, { $role } пространства { $workspace }. Telegram id { $id }.
stopped = Этот чат отключён: больше я сюда не пишу. /start включит его снова. Задачи и запросы остаются.
unknown-command = Я не знаю этой команды. /help покажет, что я умею.
only-text = Пока я читаю только текст.
group-hello = Здравствуйте. В группах я отвечаю на команды и на сообщения с моим именем. Карточки с кнопками приходят в личные чаты тем, кто может решать.
