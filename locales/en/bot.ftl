# What the bot says

bot-name = Pilot
bot-about = Digital operators that work for you under a written policy. Nothing consequential happens without your decision.
bot-description = Give Pilot a task. An operator plans and calls tools. What the policy does not allow outright comes to you as a card with buttons. Every decision leaves a signed receipt.
menu-button = Pilot

cmd-start = begin, or open your chat again
cmd-help = what I can do
cmd-task = give a task: /task text
cmd-tasks = your newest tasks
cmd-run = run a task again: /run id
cmd-cancel = stop a task, or leave a question: /cancel id
cmd-approvals = what waits for your decision
cmd-grants = standing permissions, with revoke
cmd-status = the workspace at a glance
cmd-operators = who does the work
cmd-usage = what models cost
cmd-mode = the phase the workspace works in
cmd-policy = what operators may do, and change it
cmd-kill = stop everything: no tool may run
cmd-unkill = end the stop
cmd-receipt = check a receipt: /receipt hash or id
cmd-verify = check the log of receipts
cmd-away = messages without sound: /away 2h, /away until fri deputy @bob, /away off
cmd-settings = settings in the app
cmd-language = choose a language
cmd-workspace = switch the workspace
cmd-whoami = who I think you are
cmd-stop = close this chat

start-hello = Hello { $name }. This is Pilot.
start-what = Write me what you want done. An operator works on it step by step. Before anything consequential happens, you get a card with Approve and Deny. Every decision leaves a signed receipt that anybody can check.
start-workspace = Your workspace: { $workspace }
start-begin = Just write a task, or try the example. /help lists everything.
start-example = Try an example task
start-again = Welcome back, { $name }. Write a task, or see /help.
start-joined = You joined the workspace { $workspace } as { $role }.
example-title = Example task
example-queued = The example task is on its way.

help-title = What I can do
help-free = Any text you send me is a task. A reply to an approval card is taken as a wish for changes, never as an approval.
help-groups = In groups, write /task or mention me.

task-usage = Write the task after the command: /task Compare three hosting offers
task-too-long = A task has at most { $max } characters; this one has { $have }. Nothing was created.
task-created = Task created: { $title }
tasks-none = No tasks yet. Just write one.
tasks-title = Newest tasks
task-missing = Which task? Give the id as in /tasks: { $command } 1a2b
task-cancelled = Cancelled: { $title }
task-cancel-asked = It stops before its next step: { $title }
task-cancel-none = Nothing to cancel: this task is { $status }.
nothing-to-cancel = There is nothing to cancel. To stop a task: /cancel with its id from /tasks
task-detail-status = Status: { $status }
button-run-again = Run again
button-cancel-task = Cancel
button-open-task = Open
button-receipt = Receipt { $hash }

progress-title = { $state }: { $title }
progress-step = { $seq }. { $tool }: { $state }
progress-thinking = The model is thinking …
progress-missed = Missed while Pilot was not running; run once now. It was due at
progress-more =
    { $count ->
        [one] … { $count } earlier step
       *[other] … { $count } earlier steps
    }
progress-stopping = It stops before its next step.
result-receipt = Receipt { $hash }
result-none = (no text)
result-why = Why: { $error }

status-title = { $workspace }
status-mode = Mode: { $mode }
status-tasks = Tasks
status-none = no tasks yet
status-approvals = Approvals waiting: { $count }
status-receipts = Receipts in the log: { $count }
status-kill-on = 🛑 The kill switch is ON: no tool may run. /unkill ends it.
status-kill-off = Kill switch: off

usage-title = Models
usage-today = Today
usage-week = Seven days
usage-month = This month
usage-sum = { $calls } calls, { $tokens } tokens

mode-now = The workspace is in mode { $mode }. Choose another:
mode-set = Mode: { $mode }.
policy-title = The policy of this workspace
policy-from = People are asked from { $level } on ({ $effect })
policy-always = Always asked about: { $tools }
policy-blocked = Blocked: { $tools }
policy-none = nothing
policy-budgets = Budgets in US dollars: task { $task }, operator a day { $operator }, day { $day }, emergency stop { $emergency }
policy-month = month
policy-usage = To change it: /policy block http.post, /policy unblock http.post, /policy ask E2, /policy day 400 (also task, operator, month, emergency). Everything else is in the app.
policy-button-tools = Blocked tools
policy-tools-hint = ⛔ is blocked: a tap frees it. ▶ may run under the policy: a tap blocks it.
policy-button-back = Back to the policy
kill-confirm = Stop everything? No tool may run until /unkill. Runs under way stop before their next step.
unkill-confirm = End the stop? Tools may run again under the policy.
button-kill = Stop everything
button-unkill = Let work go on
button-leave = Leave it
kill-on = 🛑 Stopped by { $who }. No tool may run.
kill-off = The stop has ended. { $who } let work go on.
left-as-is = Nothing was changed.

away-usage = Say how long: /away 2h, /away until fri, /away until 2026-12-01 deputy @bob, /away off. Until then messages come without sound, except about critical calls.
away-set = Without sound, except for critical calls, until:
away-deputy = { $who } stands in for you: open questions are brought up there.
away-off = Messages come with sound again.

operators-none = No operators of your own yet: the built-in one does the work.
operators-title = Operators
operator-line = { $name } ({ $role }): { $state }
operator-active = active
operator-paused = paused

receipt-usage = Give the hash (8 characters or more) or the id: /receipt 1a2b3c4d
receipt-title = Receipt { $hash }
receipt-what = { $action }: { $verdict }
receipt-place = Number { $index } of the log
receipt-who = By { $who }
receipt-when = At
receipt-good = ✅ Signature and place in the log hold.
receipt-bad = ❌ Does not hold: { $problem }
integrity-title = ⚠️ Something stored is not as it was signed
integrity-what = { $subject }: { $differs }
integrity-more = And { $count } more findings. They are listed as violations in the app.
integrity-hint = Somebody or something changed the database behind Pilot's back. Nothing was done on the strength of it. Run pilot doctor on the server.
card-altered = ⚠️ Not as it was signed: { $differs }
verify-good =
    { $size ->
        [one] ✅ The log holds: { $size } receipt, checked.
       *[other] ✅ The log holds: { $size } receipts, the newest { $checked } checked one by one.
    }
verify-bad = ❌ The log does not hold: { $problem }
verify-root = Root
verify-offline = For a check that needs no trust in this server, export the archive in the app and run its verify.py.

settings-text = Mode, policy, budgets and people are set in the app.
settings-no-app = Mode, policy, budgets and people are set in the web app at { $url }
language-now = Language: { $language }. Choose:
language-set = Language: { $language }.
workspace-now = You are in { $workspace } ({ $role }).
workspace-choose = Switch to:
workspace-set = You are in { $workspace } now.
whoami = { $name }, { $role } of { $workspace }. Telegram id { $id }.
stopped = This chat is closed: I send nothing more here. /start opens it again. Your tasks and approvals stay.
unknown-command = I do not know this command. /help lists what I can do.
only-text = I can read text only, for now.
group-hello = Hello. In groups I answer to commands and to messages that mention me. Cards with buttons go to the private chats of those who may decide.
