# Approval cards and what is answered to taps

card-title = Approval needed: { $tool }
card-title-decided = Approval: { $tool }
card-what = What would happen
card-input = Exact input
card-input-more = … the rest is shown in the app
card-task = Task: { $title }
card-asker = Asked by an external agent: { $who }
card-stands-in = You're covering for { $who }, who is away.
card-why = Why you're asked: { $reason }
card-effect = Impact: { $effect } (E{ $level })
card-irreversible = Can't be undone
card-critical = Critical: approve it in the app, within five minutes of opening the app.
card-elsewhere = This card's buttons can't be shown here. Decide at { $url } or send /approvals
card-instead = Something is waiting for your decision, but its card can't be shown here. Decide at { $url } or send /approvals
card-where = In the app: { $url }
buttons-elsewhere = This message's buttons can't be shown here. You'll find them at { $url }
message-instead = A message can't be shown here. You'll find it at { $url }
card-nothing = If nobody decides by then, it won't be done.
card-expires = Expires:
card-quorum = Approvals: { $have } of { $need }
card-quorum-names = Approvals: { $have } of { $need }: { $names }
card-owner-needed = At least one owner must approve.
card-unmet = ⚠️ Not enough people can approve this any more. Unless that changes, it will expire and not be done.
card-digest = Digest
card-version = version { $version }
card-changed = This request was edited. Read it again before you decide.

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
outcome-changes_requested = ✏️ Changes requested by { $who }, { $where }
outcome-expired = ⌛ Expired: nobody decided in time, so it was not done
outcome-cancelled = ⚪ Withdrawn: the run has ended
outcome-note = Note: { $note }
outcome-undo = Runs after:
outcome-grant = Also allowed without asking for a while (see /grants)

reminder-1 = ⏰ Half the time to decide is gone: { $tool } ({ $title }).
reminder-2 = ⏰ Not much time left to decide: { $tool } ({ $title }). Without a decision it won't be done.
reminder-3 = ⏰ Last reminder before this expires: { $tool } ({ $title }).

answer-approved = Approved. The run continues.
answer-rejected = Denied.
answer-changes_requested = Changes requested. The operator will see your note.
answer-granted = Approved, and allowed for 1 hour in this task.
answer-voted = Your approval counts: { $have } of { $need }.
answer-undone = Undone. The call won't be made.
late = Already { $outcome } by { $who } { $where } at { $when }.
late-expired = This approval has expired; it was not done.
late-cancelled = This approval was withdrawn; the run has ended.
late-word-approved = approved
late-word-rejected = denied
late-word-changes_requested = sent back for changes
late-word-expired = expired
late-word-cancelled = withdrawn

ask-deny = Why not? Reply with your reason for denying { $tool }. /cancel leaves it open.
ask-changes = What should change? Reply with the changes you want for { $tool }. /cancel leaves it open.
ask-edit = What should run instead? Reply with the new input for { $tool } as JSON. This makes a new version, which still needs approval. /cancel keeps the current one.
ask-deny-hint = Reason for denying
ask-changes-hint = What should change
ask-edit-hint = New input as JSON
ask-closed = Nothing was decided. The approval is still open.
reply-noted-rejected = Denied with your reason.
reply-noted-changes_requested = Sent back with your note. Nothing was approved.
reply-edited = Saved as a new version. Check the card: it still needs approval.

approvals-none = No approvals are waiting.
batch-title = { $count } low-risk requests
approvals-count =
    { $count ->
        [one] One approval is waiting:
       *[other] { $count } approvals are waiting. The newest { $shown }:
    }

uncertain-title = Interrupted: { $tool }
uncertain-text = The call was interrupted. It may or may not have gone through. Check on the other side, then choose.
uncertain-reason = What we know: { $reason }
button-retry = Retry
button-skip = Skip
button-done = Mark done
uncertain-settled = Resolved: { $state }
answer-retry = Trying again.
answer-skip = Skipped.
answer-mark_done = Marked as done.
answer-cancelled = The run was cancelled.
answer-settled-before = This was already resolved.

grants-none = No temporary permissions.
grants-title = Temporary permissions
grant-line =
    { $uses ->
        [one] { $tool }: used once, until
       *[other] { $tool }: used { $uses } times, until
    }
grant-line-max = { $tool }: used { $uses } of { $max } times, until
grant-task = for one task
grant-all = for the whole workspace
button-revoke = Revoke { $number }
answer-revoked = Revoked. The next call will ask again.
