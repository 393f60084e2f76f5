// From a form to what the API takes, and from its refusal back to the fields.

export function values(form) {
  const out = {},
    grouped = {};
  for (const field of form.elements) {
    const {name, dataset: kind} = field;
    if (!name || field.disabled) continue;
    const text = field.value;
    if (kind.in) {
      (grouped[kind.in] ||= {})[name] = text.trim();
      continue;
    }
    if ("many" in kind) {
      if (field.checked) (out[name] ||= []).push(text);
      else if (kind.many !== "omit") out[name] ||= [];
    } else if (field.type === "checkbox") out[name] = field.checked;
    else if ("list" in kind)
      out[name] = text
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean);
    else if ("jsonValue" in kind) out[name] = parsed(field);
    else if ("number" in kind) {
      if (text !== "") out[name] = Number(text);
      else if (kind.number === "optional") out[name] = null;
    } else if ("null" in kind) out[name] = text.trim() || null;
    else if (!("optional" in kind) || text.trim()) out[name] = text;
  }
  // fields of one group make an object of those that were filled in; all of quiet hours or none of them
  for (const [group, parts] of Object.entries(grouped)) {
    const given = Object.fromEntries(Object.entries(parts).filter(([, value]) => value));
    out[group] = group === "quietHours" && !given.start && !given.end ? null : given;
  }
  return out;
}

export class BadField extends Error {
  constructor(field, message) {
    super(message);
    this.fields = {[field]: [message]};
    this.status = 0;
  }
}
export function parsed(field, message = "JSON") {
  try {
    return JSON.parse(field.value);
  } catch (error) {
    throw new BadField(field.name, `${message}: ${error.message}`);
  }
}

export function clearProblems(form) {
  for (const old of form.querySelectorAll(".problem")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

function problem(text, id) {
  const line = document.createElement("p");
  line.className = "problem";
  line.setAttribute("role", "alert");
  line.textContent = text;
  if (id) line.id = id;
  return line;
}

// Puts every complaint at its field; what belongs to none stands above the button.
export function showProblems(form, error) {
  let first = null;
  const rest = Object.keys(error.fields || {}).length ? [] : [error.message];
  for (const [path, texts] of Object.entries(error.fields || {})) {
    const parts = path.split(".");
    const field = parts.map((part) => form.elements.namedItem(part)).find((found) => found instanceof Element);
    if (!field) {
      rest.push(`${path}: ${texts.join(", ")}`);
      continue;
    }
    const id = "problem-" + field.name;
    const inner = parts.slice(parts.indexOf(field.name) + 1).join(".");
    field.closest("label, fieldset").append(problem((inner ? inner + ": " : "") + texts.join(", "), id));
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", id);
    first ||= field;
  }
  if (rest.length)
    (form.querySelector("button.wide, button:not([type=button])") || form.lastElementChild).before(
      problem(rest.join("\n")),
    );
  if (first) first.focus();
}

export function showProblemAt(button, text) {
  const place = button.closest(".pair, .pills") || button;
  const old = place.nextElementSibling;
  if (old && old.classList.contains("problem")) old.remove();
  if (place.closest("li.cell")) place.before(problem(text));
  else place.after(problem(text));
}
