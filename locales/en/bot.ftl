# What the bot says

bot-name = Pilot
bot-about = Digital operators that work for you under a written policy. Nothing consequential happens until you decide.
bot-description = Give Pilot a task. An operator plans it and calls tools. When the policy says to ask you, you get a card with buttons. Every decision leaves a signed receipt.
menu-button = Pilot

cmd-start = start, or reopen this chat
cmd-help = what I can do
cmd-task = create a task: /task text
cmd-tasks = your latest tasks
cmd-run = run a task again: /run id
cmd-cancel = stop a task, or go back without deciding
cmd-approvals = approvals waiting for you
cmd-grants = temporary permissions
cmd-status = the workspace at a glance
cmd-operators = your operators
cmd-usage = what AI models cost
cmd-mode = the workspace's current phase
cmd-policy = see and change what operators may do
cmd-kill = stop everything: no tool may run
cmd-unkill = let tools run again
cmd-receipt = check a receipt: /receipt hash or id
cmd-verify = check the whole receipt log
cmd-away = mute until a time, with a deputy: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = open the settings in the app
cmd-language = choose your language
cmd-workspace = switch workspace
cmd-whoami = your name and role here
cmd-stop = mute this chat

start-hello = Hi { $name }, this is Pilot.
start-what = Tell me what you want done. An operator works on it step by step. Before anything consequential happens, you get a card with Approve and Deny. Every decision leaves a signed receipt that anyone can check.
start-workspace = Your workspace: { $workspace }
start-begin = Just type a task, or try the example. /help lists everything I can do.
start-example = Try an example task
start-again = Welcome back, { $name }. Type a task, or see /help.
start-joined = You've joined the workspace { $workspace } as { $role }.
example-title = Example task
example-queued = The example task has started.

help-title = What I can do
help-free = Any message you send me becomes a task. Replying to an approval card asks for changes; it never approves.
help-groups = In groups, use /task or mention me.

task-usage = Put the task after the command: /task Compare three hosting offers
task-too-long = A task can have at most { $max } characters; yours has { $have }. Nothing was created.
task-created = Task created: { $title }
tasks-none = No tasks yet. Just type one.
tasks-title = Latest tasks
task-missing = Which task? Add its id from /tasks: { $command } 1a2b
task-cancelled = Cancelled: { $title }
task-cancel-asked = Stopping before the next step: { $title }
task-cancel-none = There's nothing to cancel: this task is { $status }.
nothing-to-cancel = There's nothing to cancel. To stop a task, send /cancel with its id from /tasks
task-detail-status = Status: { $status }
button-run-again = Run again
button-cancel-task = Cancel
button-open-task = Open
button-receipt = Receipt { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = The model is thinking …
progress-missed = Pilot was not running when this was due, so it runs once now. It was due at
progress-more =
    { $count ->
        [one] … { $count } earlier step
       *[other] … { $count } earlier steps
    }
progress-stopping = Stopping before the next step.
result-receipt = Receipt { $hash }
result-none = (no text)
result-why = Why: { $error }

status-title = { $workspace }
status-mode = Mode: { $mode }
status-tasks = Tasks
status-none = no tasks yet
status-approvals = Approvals waiting: { $count }
status-receipts = Receipts in the log: { $count }
status-kill-on = 🛑 The kill switch is ON: no tool may run. /unkill turns it off.
status-kill-off = Kill switch: off

usage-title = AI models
usage-today = Today
usage-week = Last seven days
usage-month = This month
usage-sum = { $calls } calls, { $tokens } tokens

mode-now = The workspace is in { $mode } mode. Choose another:
mode-set = Mode: { $mode }.
policy-title = This workspace's policy
policy-from = Asks you from { $level } ({ $effect })
policy-always = Always asks before: { $tools }
policy-blocked = Blocked: { $tools }
policy-none = nothing
policy-budgets = Budgets in US dollars: per task { $task }, per operator per day { $operator }, per day { $day }, emergency stop { $emergency }
policy-month = month
policy-usage = To change it: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (or task, operator, month, emergency). Everything else is in the app.
policy-button-tools = Blocked tools
policy-tools-hint = ⛔ blocked: tap to allow it. ▶ may run under the policy: tap to block it.
policy-button-back = Back to the policy
kill-confirm = Stop everything? No tool may run until /unkill. Running work stops before its next step.
unkill-confirm = Let tools run again under the policy?
button-kill = Stop everything
button-unkill = Resume work
button-leave = Leave as is
kill-on = 🛑 Stopped by { $who }. No tool may run.
kill-off = { $who } resumed work. Tools may run again.
left-as-is = Nothing was changed.

away-usage = Say for how long: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. Until then messages arrive silently, except critical ones.
away-set = Silent, except for critical requests, until:
away-deputy = { $who } is covering for you and gets your open approvals.
away-off = Messages arrive with sound again.

operators-none = You have no operators yet. The built-in one does the work.
operators-title = Operators
operator-line = { $name } ({ $role }): { $state }
operator-active = active
operator-paused = paused

receipt-usage = Add the hash (at least 8 characters) or the id: /receipt 1a2b3c4d
receipt-title = Receipt { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Number { $index } in the log
receipt-who = By { $who }
receipt-when = At
receipt-good = ✅ Valid: the signature is right and the receipt is in the log.
receipt-bad = ❌ This receipt is NOT valid: { $problem }
integrity-title = ⚠️ Stored data doesn't match what was signed
integrity-what = { $subject }: { $differs }
integrity-more =
    { $count ->
        [one] And one more finding. The app lists them all under Denied by the policy.
       *[other] And { $count } more findings. The app lists them all under Denied by the policy.
    }
integrity-hint = Someone or something changed the database without going through Pilot. Pilot did nothing based on the changed data. Run pilot doctor on the server.
card-altered = ⚠️ Doesn't match what was signed: { $differs }
verify-good =
    { $size ->
        [one] ✅ The log is valid: { $size } receipt, checked.
       *[other] ✅ The log is valid: { $size } receipts, the newest { $checked } checked one by one.
    }
verify-bad = ❌ The log is NOT valid: { $problem }
verify-root = Root
verify-offline = To check it without trusting this server, export the archive in the app and run its verify.py.
checkpoint-title = Today's checkpoint of your receipt log
checkpoint-size =
    { $size ->
        [one] The log holds one receipt.
       *[other] The log holds { $size } receipts.
    }
checkpoint-keep = Keep this message. With it you can show later that nobody rewrote the log.
checkpoint-none = ⚠️ No checkpoint today
checkpoint-hint = Nothing is added to the log until it is repaired. Run pilot doctor on the server.
installation-budget-title = ⚠️ The budget for model calls is used up
installation-budget =
    { $budget ->
        [day] Today's
       *[month] This month's
    } budget for this installation's own model keys has no room for another call. Tasks that use these keys stop there; workspaces with their own keys go on. The settings PILOT_BUDGET_DAY_USD and PILOT_BUDGET_MONTH_USD change it.

settings-text = Budgets, people and the rest of the settings are in the app. /mode and /policy work here too.
settings-no-app = Budgets, people and the rest of the settings are in the web app at { $url }. /mode and /policy work here too.
language-now = Language: { $language }. Choose another:
language-set = Language: { $language }.
workspace-now = You're in { $workspace } ({ $role }).
workspace-choose = Switch to:
workspace-set = You're now in { $workspace }.
whoami = { $name }, { $role } of { $workspace }. Telegram id { $id }.
stopped = This chat is muted: I won't send anything more. /start turns it back on. Your tasks and approvals stay.
unknown-command = I don't know that command. /help lists what I can do.
only-text = I can only read text for now.
group-hello = Hi. In groups I answer commands and messages that mention me. Approval cards go to the private chats of the people who may decide.
