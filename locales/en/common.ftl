# Words used everywhere

status-pending = not started
status-queued = queued
status-running = running
status-awaiting_approval = waiting for approval
status-completed = completed
status-failed = failed
status-cancelled = cancelled

state-queued = Queued
state-running = Working
state-awaiting_approval = Waiting for an approval
state-waiting = Waiting
state-uncertain = Interrupted, waiting for your word
state-completed = Completed
state-blocked = Blocked
state-budget_exhausted = Budget used up
state-stalled = Stalled
state-failed = Failed
state-cancelled = Cancelled

step-denied = refused by policy
step-awaiting_approval = waiting for approval
step-approved = approved
step-rejected = not approved
step-changes_requested = changes asked for
step-intent = under way
step-uncertain = interrupted
step-done = done
step-failed = failed
step-skipped = skipped
step-cancelled = cancelled

mode-discover = Discover
mode-decide = Decide
mode-build = Build
mode-launch = Launch
mode-apply = Apply

role-member = member
role-partner = partner
role-owner = owner

effect-0 = computes only
effect-1 = reads
effect-2 = writes inside Pilot
effect-3 = acts outside
effect-4 = critical

via-chat = in chat
via-mini_app = in the app
via-api = over the API
via-cli = on the command line
via-system = by the system

yes = yes
no = no
open-app = Open Pilot

# what a tool does, by its name with - for the point
tool-email-send = Send a plain text e-mail to one address.
tool-finish = End the run and say what was achieved.
tool-http-get = Read a public web address. Returns status, contentType, text, and json when the answer is JSON.
tool-http-post = Send a POST request to a public web address, with JSON or a text body.
tool-knowledge-search = Find notes whose title, text or tags hold all the given words.
tool-message-send = Send a message to the founder in Telegram.
tool-note-create = Write a note into the workspace's knowledge.
tool-operator-delegate = Have another operator of this workspace do a part of the work, and wait for its result. It may use no more than you may, and spends a slice of your budget.
tool-task-create = Create another task in this workspace. It does not run by itself.
tool-wait-until = Pause the run until a time, or for a number of seconds. It costs nothing meanwhile.

# why a person is asked
why-effect-level = { $level ->
    [4] { $tool } is critical (E4)
   *[other] { $tool } { $reach } (E{ $level })
}
why-approval-list = { $tool } needs approval in this workspace

# why a run ended
ended-no-model = No model is configured, and the task is not a playbook, so nobody can plan it. Add a model in the settings, or write the task as steps, for example: 1. http.get url=https://example.com
ended-installation-budget = This installation's budget for models is used up. It begins anew with the next day or month; whoever runs the installation can raise it, or add a model key of your own in the settings.

# ready-made rules for a role
pack-design = Looks and drafts. It has no reason to send anything to services or people outside.
pack-engineering = Reads and drafts freely. What merges, deploys or removes is a person's to decide, and keys stay inside.
pack-growth = Writes to people outside: every message is seen first, promises and figures are not made up.
pack-ops = Money, contracts and accounts: what pays, signs or changes access is critical, and numbers of accounts stay inside.
pack-product = Researches, plans and writes; nothing is published and no plan explodes into tasks unseen.
