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
state-awaiting_approval = Waiting for approval
state-waiting = Waiting
state-uncertain = Interrupted - please decide
state-completed = Completed
state-blocked = Blocked
state-budget_exhausted = Budget used up
state-failed = Failed
state-cancelled = Cancelled

step-denied = refused by policy
step-awaiting_approval = waiting for approval
step-approved = approved
step-rejected = denied
step-changes_requested = changes requested
step-intent = in progress
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

effect-0 = only computes
effect-1 = reads
effect-2 = writes inside Pilot
effect-3 = changes something outside Pilot
effect-4 = critical

via-chat = in chat
via-mini_app = in the app
via-api = through the API
via-cli = on the command line
via-system = by Pilot

open-app = Open Pilot

# what a tool does, by its name with - for the point
tool-email-send = Send a plain text e-mail to one address.
tool-finish = End the run and say what was achieved.
tool-http-get = Read a public web address. Returns status, contentType, text, and json when the answer is JSON.
tool-http-post = Send a POST request to a public web address, with JSON or a text body.
tool-knowledge-search = Find notes whose title, text or tags contain all the given words.
tool-message-send = Send a message to the founder in Telegram.
tool-note-create = Write a note into the workspace's knowledge.
tool-operator-delegate = Ask another operator in this workspace to do part of the work, and wait for the result. The other operator can do no more than the one that asks, and spends a share of its budget.
tool-task-create = Create another task in this workspace. It doesn't start by itself.
tool-wait-until = Pause the run until a time, or for a number of seconds. Waiting costs nothing.

# why a person is asked
why-effect-level = { $level ->
    [4] { $tool } is critical (E4)
   *[other] { $tool } { $reach } (E{ $level })
}
why-approval-list = { $tool } always needs approval in this workspace

# why a run ended
ended-no-model = There is no AI model set up yet, so I can't plan this. Set up a model in the app, or write the steps yourself, for example: 1. http.get url=https://example.com
ended-model-removed = This task was started with an AI model, and none is set up now. Set one up and run the task again.
ended-installation-budget = This server's budget for AI models is used up. It starts again with the next day or month. Whoever runs this server can raise it, or you can add your own model key in the settings.

# ready-made rules for a role
pack-design = Looks things up and drafts. It has no reason to send anything outside.
pack-engineering = Reads and drafts freely. A person decides what gets merged, deployed or deleted, and secrets never leave.
pack-growth = Writes to people outside. A person sees every message first, and promises and figures are never made up.
pack-ops = Money, contracts and accounts. Paying, signing and changing access are critical, and account numbers never leave.
pack-product = Researches, plans and writes. Nothing is published and tasks aren't created in bulk without approval.
