# Approval cards and what is answered to taps

card-title = Approval needed: { $tool }
card-title-decided = Approval: { $tool }
card-what = What would happen
card-input = Exact input
card-input-more = … the rest is shown in the app
card-task = Task: { $title }
card-asker = Asked by an outside agent: { $who }
card-stands-in = You stand in for { $who }, who is away.
card-why = Why it needs approval: { $reason }
card-effect = Reach: { $effect } (E{ $level })
card-reversible = Can be taken back: { $answer }
card-critical = Critical: it takes an approval in the app, within five minutes of opening it.
card-elsewhere = The buttons of this card cannot be shown here. Decide at { $url } or send /approvals
card-instead = Something waits for your decision, and its card cannot be shown here. Decide at { $url } or send /approvals
card-where = In the app: { $url }
buttons-elsewhere = The buttons of this message cannot be shown here. You find them at { $url }
message-instead = A message cannot be shown here. You find it at { $url }
card-nothing = If nobody answers by then, it is not done.
card-expires = Expires:
card-quorum = Approvals: { $have } of { $need }
card-quorum-names = Approvals: { $have } of { $need }: { $names }
card-owner-needed = An owner must be among those who approve.
card-unmet = ⚠️ Too few people are left who may approve this. As it stands it expires, which means no.
card-digest = Digest
card-version = version { $version }
card-changed = This question was edited. Read it again before you decide.

button-approve = Approve
button-approve-in-app = Approve in the app
button-deny = Deny
button-approve-number = ✅ { $number }
button-deny-number = ❌ { $number }
button-deny-reason = Deny with reason
button-changes = Ask for changes
button-edit = Edit
button-grant = Allow for 1 h (this task)
button-open = Open
button-undo = Undo

outcome-approved = ✅ Approved by { $who }, { $where }
outcome-rejected = ❌ Denied by { $who }, { $where }
outcome-changes_requested = ✏️ Changes asked for by { $who }, { $where }
outcome-expired = ⌛ Expired: nobody decided in time, so it was not done
outcome-cancelled = ⚪ Withdrawn: the run has ended
outcome-note = Note: { $note }
outcome-undo = Runs after:
outcome-grant = With a permission for further calls (see /grants)

reminder-1 = ⏰ Half of the time to decide has passed: { $tool } ({ $title }).
reminder-2 = ⏰ Little time left to decide: { $tool } ({ $title }). Without an answer it is not done.
reminder-3 = ⏰ Last call before this expires: { $tool } ({ $title }).

answer-approved = Approved. The run goes on.
answer-rejected = Denied.
answer-changes_requested = Changes asked for. The operator is told.
answer-granted = Approved, and allowed for 1 hour in this task.
answer-voted = Your approval counts: { $have } of { $need }.
answer-undone = Taken back. The call is not made.
late = Already { $outcome } by { $who } { $where } at { $when }.
late-expired = This approval has expired; it was not done.
late-cancelled = This approval was withdrawn; the run has ended.
late-word-approved = approved
late-word-rejected = denied
late-word-changes_requested = sent back for changes
late-word-expired = expired
late-word-cancelled = withdrawn

ask-deny = Why not? Reply with the reason for denying { $tool }. /cancel keeps it open.
ask-changes = What should be different? Reply with the changes for { $tool }. /cancel keeps it open.
ask-edit = What should run instead? Reply with the new input of { $tool } as JSON. It makes a new version that still has to be approved. /cancel leaves it as it is.
ask-deny-hint = Reason for denying
ask-changes-hint = What should change
ask-edit-hint = New input as JSON
ask-closed = Nothing was decided. The approval is still open.
reply-noted-rejected = Denied with your reason.
reply-noted-changes_requested = Sent back with your note: changes were asked for. Nothing was approved.
reply-edited = Saved as a new version. Look at the card: it still has to be approved.

approvals-none = Nothing waits for approval.
batch-title = { $count } questions that reach little
approvals-count =
    { $count ->
        [one] One approval waits. Shown: { $shown }
       *[other] { $count } approvals wait. Here are the newest { $shown }:
    }

uncertain-title = Interrupted: { $tool }
uncertain-text = The call was interrupted while it was under way. It may have happened or not. Please check outside, then choose.
uncertain-reason = What is known: { $reason }
button-retry = Retry
button-skip = Skip
button-done = Mark done
uncertain-settled = Settled: { $state }
answer-retry = It is tried again.
answer-skip = Skipped.
answer-mark_done = Marked as done.
answer-cancelled = The run was cancelled.
answer-settled-before = This was settled already.

grants-none = No standing permissions.
grants-title = Standing permissions
grant-line =
    { $uses ->
        [one] { $tool }: used once, until
       *[other] { $tool }: used { $uses } times, until
    }
grant-line-max = { $tool }: used { $uses } of { $max } times, until
grant-task = for one task
grant-all = for the whole workspace
button-revoke = Revoke { $number }
answer-revoked = Revoked. Further calls will ask again.
