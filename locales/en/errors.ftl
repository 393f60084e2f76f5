# Errors by their stable code; `error-default` is used with the message of the error

error-default = That didn't work: { $message }
error-internal = Something went wrong on our side. It was logged as { $id }. Please try again.
error-not_found = Not found in this workspace.
error-insufficient_role = { $role ->
    [owner] Only an owner can { $action }.
    [partner] Only a partner or an owner can { $action }.
   *[other] You can't { $action } here.
}
error-forbidden = You're not allowed to do this.
error-not_a_decider = Other people were named to decide this.
error-requester_excluded = The person who asked for this can't approve it.
error-step_up_required = This is critical: open the app from here and approve within five minutes.
error-deputy_unknown = Nobody in this workspace has that name. Use the user name: deputy @bob.
error-deputy_self = You can't be your own deputy.
error-deputy_cannot = The policy doesn't let that person decide, so they can't cover for you.
error-not_json = That isn't valid JSON. Nothing was changed.
error-duplicate_name = The name { $field } appears twice in one object. Nothing was changed.
error-json_too_deep = That JSON is nested too deeply. Nothing was changed.
error-json_too_many = That JSON has too many values. Nothing was changed.
error-json_too_large = That JSON is too long. Nothing was changed.
error-json_number = That JSON has a number that is too large. Put it in quotes. Nothing was changed.
error-stale_version = This request has changed since you saw it. Read it again before you decide.
error-stale_digest = What you saw is not what would run. Read it again before you decide.
error-altered = This doesn't match what was signed, so it was not done. Check the receipts.
error-approval_decided = This was already decided.
error-approval_expired = This approval expired, so it wasn't done.
error-run_active = This task is already running.
error-operator_paused = This task's operator is paused. Resume it, or give the task to another one.
error-illegal_move = The task's current state doesn't allow this.
error-undo_closed = It's too late to undo this.
error-not_uncertain = This was already resolved.
error-workspace_required = Choose a workspace first: /workspace
error-unavailable = This part of Pilot isn't ready yet. Please try again in a moment.
error-rate_limited = Too many requests. Please wait a moment.
error-ambiguous_id = Several tasks have an id that ends like this. Type more of it.
error-invite = This invite doesn't work: it is unknown, already used, or expired.
error-stranger = I don't know you yet. Send me /start in a private chat first.
error-sign_up_closed = Sign-up is closed here. Ask someone who uses this Pilot for an invite link.
error-private = This only works in a private chat with me.
error-old-button = This button no longer works.
