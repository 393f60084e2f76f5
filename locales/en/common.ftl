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
