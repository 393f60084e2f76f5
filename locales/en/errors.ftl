# Errors by their stable code; `error-default` is used with the message of the error

error-default = That did not work: { $message }
error-internal = Something went wrong here. It was noted as { $id }; please try again.
error-not_found = There is no such thing in this workspace.
error-insufficient_role = Your role does not allow this: { $action } takes { $role }.
error-forbidden = You may not do this.
error-not_a_decider = This approval names other people to decide.
error-requester_excluded = Who asked for it cannot be one of its approvers.
error-deputy_unknown = Nobody in this workspace is called so. Give the user name: deputy @bob.
error-deputy_self = Nobody stands in for themselves.
error-deputy_cannot = That person may not decide under the policy, so they cannot stand in for you.
error-stale_version = The question was changed meanwhile. Look at the new card.
error-stale_digest = What was shown is not what would run. Look at the new card.
error-approval_decided = This was decided already.
error-approval_expired = This approval has expired; it was not done.
error-run_active = A run of this task is under way already.
error-illegal_move = The task is in a state that does not allow this.
error-undo_closed = There is nothing to undo any more.
error-not_uncertain = This was settled already.
error-workspace_required = Choose a workspace first: /workspace
error-unavailable = This part is not ready yet. Please try again in a moment.
error-rate_limited = Too many requests. Please wait a moment.
error-ambiguous_id = Several tasks end like this. Give more characters of the id.
error-invite = This invitation cannot be used: it is unknown, used, or expired.
error-stranger = I do not know you yet. Write /start to me in a private chat first.
error-private = This works in a private chat with me only.
error-old-button = This button is of no use any more.
