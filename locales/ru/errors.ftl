# Ошибки по их постоянному коду

error-default = Не получилось: { $message }
error-internal = Здесь что-то сломалось. Записано как { $id }; попробуйте ещё раз.
error-not_found = Такого в этом пространстве нет.
error-insufficient_role = Ваша роль этого не позволяет: для «{ $action }» нужна роль { $role }.
error-forbidden = Вам это нельзя.
error-not_a_decider = Решать это назначены другие люди.
error-requester_excluded = Кто попросил, не может быть среди одобряющих.
error-deputy_unknown = Здесь никого так не зовут. Укажите имя пользователя: deputy @bob.
error-deputy_self = Заместить самого себя нельзя.
error-deputy_cannot = По правилам этот человек не может решать, поэтому не может и заместить вас.
error-stale_version = Вопрос тем временем изменили. Смотрите новую карточку.
error-stale_digest = Показано было не то, что выполнилось бы. Смотрите новую карточку.
error-approval_decided = Это уже решено.
error-approval_expired = Срок этого решения истёк; действия не было.
error-run_active = Эта задача уже выполняется.
error-illegal_move = В этом состоянии задачи так нельзя.
error-undo_closed = Возвращать уже нечего.
error-not_uncertain = Это уже решено.
error-workspace_required = Сначала выберите пространство: /workspace
error-unavailable = Эта часть ещё не готова. Попробуйте чуть позже.
error-rate_limited = Слишком много запросов. Подождите немного.
error-ambiguous_id = Так кончаются несколько задач. Укажите больше знаков.
error-invite = Это приглашение не подходит: неизвестно, использовано или истекло.
error-stranger = Я вас ещё не знаю. Сначала напишите мне /start в личном чате.
error-private = Это работает только в личном чате со мной.
error-old-button = Эта кнопка больше не действует.
