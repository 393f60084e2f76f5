"""Playbooks: a task description that says step by step which tools to call, run without any model.

A playbook is text a person can type into a chat. A description with no step in it is not a playbook.

    params: name=Ada, site="https://example.com"

    1. note.create title="Launch plan" body="For {{name}}"
    2. http.get url={{site}}
       on failure: continue
    if steps.2.status == 200:
    3. http.post url=https://example.com/hook json={"note": "{{steps.1.id}}", "up": true}
    else:
    4. message.send text="The site is down: {{steps.2.error}}"
    5. finish summary="Done, {{steps.1.id}}"

Steps: an optional bullet (`1.`, `1)`, `-`, `*`), a tool, and arguments as `name=value`. Arguments may go on
below, indented, as `name=value` or as `name: value` up to the end of the line (`name: |` begins a block).
Values: a word, a quoted text, JSON, or a block between triple quotes. `as NAME` at the end names a step.
`on failure: continue` at the end of a step, or below it, lets the playbook go on when the step fails;
above the first step it holds for all of them. Otherwise a failed or refused step stops the playbook.

References: `{{steps.2.status}}` (the step of that number or name; its output, or `ok`, `failed`, `skipped`,
`error`, `state`) and `{{name}}` (a parameter). A value that is one reference keeps its type.

Conditions: `if`, `when` or `unless` before a step, or on a line of its own for the next step, or for all
steps indented below it; then `else:`. They compare with == != < <= > >= contains in, and join with and, or, not.

Other lines are prose and ignored, as are lines that begin with `#`. What looks like a step, a condition or a
setting but is not right is an error with its line: nothing meant as a step is ever dropped in silence.
"""
