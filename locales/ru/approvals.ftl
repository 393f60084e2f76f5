# Карточки решений и ответы на нажатия

card-title = Нужно решение: { $tool }
card-title-decided = Решение: { $tool }
card-what = Что произойдёт
card-input = Точные данные
card-input-more = … остальное видно в приложении
card-task = Задача: { $title }
card-asker = Спрашивает внешний агент: { $who }
card-stands-in = Вы замещаете того, кого сейчас нет: { $who }.
card-why = Почему спрашиваем вас: { $reason }
card-effect = Последствия: { $effect } (E{ $level })
card-irreversible = Отменить нельзя
card-critical = Критично: одобрите в приложении, не позже чем через пять минут после его открытия.
card-elsewhere = Кнопки этой карточки здесь показать нельзя. Решите на { $url } или отправьте /approvals
card-instead = Что-то ждёт вашего решения, но карточку здесь показать нельзя. Решите на { $url } или отправьте /approvals
card-where = В приложении: { $url }
buttons-elsewhere = Кнопки этого сообщения здесь показать нельзя. Вы найдёте их на { $url }
message-instead = Сообщение здесь показать нельзя. Вы найдёте его на { $url }
card-nothing = Если до этого никто не решит, ничего сделано не будет.
card-expires = Срок:
card-quorum = Одобрений: { $have } из { $need }
card-quorum-names = Одобрений: { $have } из { $need }: { $names }
card-owner-needed = Среди одобривших должен быть владелец.
card-unmet = ⚠️ Людей, которые могут это одобрить, уже не хватает. Если это не изменится, срок истечёт и ничего сделано не будет.
card-digest = Отпечаток
card-version = версия { $version }
card-changed = Этот запрос изменили. Прочтите его заново, прежде чем решать.

button-approve = Одобрить
button-approve-in-app = Одобрить в приложении
button-deny = Отклонить
button-approve-number = ✅ { $number }
button-deny-number = ❌ { $number }
button-deny-reason = Отклонить с причиной
button-changes = Попросить изменить
button-edit = Изменить
button-grant = Разрешить на 1 ч (эта задача)
button-open = Открыть
button-undo = Отозвать одобрение

outcome-approved = ✅ Одобрено: { $who }, { $where }
outcome-rejected = ❌ Отклонено: { $who }, { $where }
outcome-changes_requested = ✏️ Просьба изменить: { $who }, { $where }
outcome-expired = ⌛ Срок истёк: никто не решил вовремя, действия не было
outcome-cancelled = ⚪ Снято: запуск закончен
outcome-note = Примечание: { $note }
outcome-undo = Начнётся после:
outcome-grant = Какое-то время разрешено и без вопросов (см. /grants)

reminder-1 = ⏰ Половина времени на решение прошла: { $tool } ({ $title }).
reminder-2 = ⏰ Времени на решение почти нет: { $tool } ({ $title }). Если никто не решит, сделано не будет.
reminder-3 = ⏰ Последнее напоминание до истечения срока: { $tool } ({ $title }).

answer-approved = Одобрено. Запуск продолжается.
answer-rejected = Отклонено.
answer-changes_requested = Просьба изменить передана. Оператор увидит ваше примечание.
answer-granted = Одобрено и разрешено на 1 час в этой задаче.
answer-voted = Ваш голос учтён: { $have } из { $need }.
answer-undone = Отменено. Вызова не будет.
late = Уже { $outcome }: { $who } { $where }, { $when }.
late-expired = Срок этого решения истёк; действия не было.
late-cancelled = Этот запрос снят; запуск закончен.
late-word-approved = одобрено
late-word-rejected = отклонено
late-word-changes_requested = отправлено на изменение
late-word-expired = истекло
late-word-cancelled = снято

ask-deny = Почему нет? Ответьте причиной отказа для { $tool }. /cancel оставит вопрос открытым.
ask-changes = Что изменить? Ответьте, что нужно изменить для { $tool }. /cancel оставит вопрос открытым.
ask-edit = Что выполнить вместо этого? Ответьте новыми данными для { $tool } в виде JSON. Получится новая версия, которую ещё нужно одобрить. /cancel оставит всё как есть.
ask-deny-hint = Причина отказа
ask-changes-hint = Что изменить
ask-edit-hint = Новые данные в JSON
ask-closed = Ничего не решено. Вопрос всё ещё открыт.
reply-noted-rejected = Отклонено с вашей причиной.
reply-noted-changes_requested = Возвращено с вашим примечанием: просьба изменить. Ничего не одобрено.
reply-edited = Сохранено как новая версия. Посмотрите карточку: её ещё нужно одобрить.

approvals-none = Ничто не ждёт решения.
batch-title = Запросы с низким риском: { $count }
approvals-count =
    { $count ->
        [one] { $count } запрос ждёт решения. Новейшие: { $shown }
        [few] { $count } запроса ждут решения. Новейшие: { $shown }
       *[other] { $count } запросов ждут решения. Новейшие: { $shown }
    }

uncertain-title = Прервано: { $tool }
uncertain-text = Вызов прервался. Он мог пройти, а мог и нет. Проверьте на той стороне и выберите.
uncertain-reason = Что известно: { $reason }
button-retry = Повторить
button-skip = Пропустить
button-done = Уже сделано
uncertain-settled = Решено: { $state }
answer-retry = Будет повторено.
answer-skip = Пропущено.
answer-mark_done = Отмечено как сделанное.
answer-cancelled = Запуск отменён.
answer-settled-before = Это уже решено.

grants-none = Временных разрешений нет.
grants-title = Временные разрешения
grant-line =
    { $uses ->
        [one] { $tool }: использовано { $uses } раз, до
        [few] { $tool }: использовано { $uses } раза, до
       *[other] { $tool }: использовано { $uses } раз, до
    }
grant-line-max = { $tool }: использовано { $uses } из { $max }, до
grant-task = для одной задачи
grant-all = для всего пространства
button-revoke = Отозвать { $number }
answer-revoked = Отозвано. Следующий вызов снова потребует решения.
