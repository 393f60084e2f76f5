// The form that says when a task runs by itself: a date, or a cron line made of plain choices.
import {BadField} from "./forms.js";

const own = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const two = (number) => String(number).padStart(2, "0");

// Shows the fields that belong to the choice; called for every form when a page is drawn.
export function prepare(form, language) {
  const at = form.elements.at,
    cron = form.elements.cron.value,
    every = form.elements.every;
  for (const option of form.querySelectorAll("[data-weekday]"))
    option.textContent = new Date(2023, 0, 1 + Number(option.value)).toLocaleDateString(language, {weekday: "long"});
  if (at.dataset.now) {
    const moment = new Date(at.dataset.now);
    const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
    at.value = `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
    every.value = "at";
  } else if (cron) every.value = "cron";
  const change = () => {
    for (const label of form.querySelectorAll("[data-for]"))
      label.hidden = !label.dataset.for.split(" ").includes(every.value);
  };
  every.addEventListener("change", change);
  change();
}

// What the API takes: null, {at} or {cron, timezone}.
export function schedule(form, missing) {
  const {every, at, time, weekday, cron, timezone} = form.elements;
  if (every.value === "never") return null;
  if (every.value === "at") {
    const moment = new Date(at.value);
    if (!at.value || Number.isNaN(moment.valueOf())) throw new BadField("at", missing);
    return {at: moment.toISOString()};
  }
  const zone = timezone.value.trim() || own();
  if (every.value === "cron") return {cron: cron.value.trim(), timezone: zone};
  if (!time.value) throw new BadField("time", missing);
  const [hour, minute] = time.value.split(":").map(Number);
  const days = {daily: "* * *", weekdays: "* * 1-5", weekly: `* * ${weekday.value}`, monthly: "1 * *"}[every.value];
  return {cron: `${minute} ${hour} ${days}`, timezone: zone};
}

// Fields for a time zone begin with the reader's own.
export function zones(main) {
  for (const field of main.querySelectorAll("[data-zone]")) if (!field.value && !field.disabled) field.value = own();
}
