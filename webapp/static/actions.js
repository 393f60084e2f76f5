// What buttons and forms do. Each says it in its data attributes: see `act` and the forms of the templates.
import {api, call, download} from "./api.js";
import {bridge} from "./bridge.js";
import {BadField, parsed, values} from "./forms.js";
import {live} from "./live.js";
import {ask, main, make, notice, page, parse, say, setUnsaved} from "./page.js";
import {bottomButtons, show, tell} from "./pages.js";
import {schedule} from "./schedule.js";
import {lookAgain, press, sending, submit} from "./sending.js";
import {learn, left, login, logout, switchTo} from "./session.js";

// --- deciding ----------------------------------------------------------------------------------------
const DECIDED = {approved: "approved", rejected: "denied", changes_requested: "sent-back"};

async function decide({id, version, digest}, body) {
  let answer;
  try {
    answer = await api("PUT", `/api/audit/approvals/${id}`, {version: Number(version), digest, ...body});
  } catch (error) {
    if (error.code !== "step_up_required") throw error;
    notice(say(bridge.inside ? "step-up-inside" : "step-up-outside"), true);
    if (bridge.inside) return;
    // the page stays in the address: after the login it is here again
    setUnsaved(false);
    return login();
  }
  const votes = answer.status === "pending" && {have: answer.approvedBy.length, need: answer.quorum};
  setUnsaved(false);
  notice(votes ? say("voted", votes) : say(DECIDED[answer.status]));
  await show({again: true});
}
const approvalOf = ({dataset: d}) => ({id: d.approve, version: d.version, digest: d.digest});

// Telegram's own buttons below the page.
async function pressedBelow(status) {
  const here = main.querySelector("[data-approve]");
  if (!here || page.deciding) return;
  page.deciding = true;
  bridge.busy(true, say("approve"), say("deny"));
  try {
    await sending(() => decide(approvalOf(here), {status}), lookAgain);
  } finally {
    page.deciding = false;
    bottomButtons();
  }
}
bridge.on("main_button_pressed", () => pressedBelow("approved"));
bridge.on("secondary_button_pressed", () => pressedBelow("rejected"));

// --- buttons -----------------------------------------------------------------------------------------
const onceIn = (button) => button.closest(".once").querySelector("output");

const PRESSED = {
  decide: (button, d) => press(button, () => decide(d, {status: d.decide})),
  api: (button, d) => press(button, () => act(d)),
  download: (button, d) => press(button, () => download(d.download, d.name)),
  more: (button, d) => press(button, () => more(button, d.more)),
  workspace: (button, d) => press(button, () => switchTo(d.workspace)),
  language: (button, d) => press(button, () => choose(d.language)),
  logout: (button) => press(button, logout),
  again: () => show(),
  share: (button) => bridge.telegramLink(`/share/url?url=${encodeURIComponent(onceIn(button).textContent)}`),
  copy: (button) => copy(onceIn(button)),
};
main.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const d = button.dataset;
  if (d.confirm && !(await ask(d.confirm))) return;
  const named = Object.keys(PRESSED).find((name) => name in d);
  if (named) PRESSED[named](button, d);
});
async function act(d) {
  const [method, path] = d.api.split(" ");
  const bare = method === "GET" || method === "DELETE" ? undefined : {};
  await api(method, path, d.json ? JSON.parse(d.json) : bare);
  if ("out" in d) return left(d.out);
  if (d.said) notice(d.said);
  else bridge.haptic("success");
  if (!d.to) return show({again: true});
  setUnsaved(false);
  location.hash = d.to;
}
async function choose(language) {
  await api("POST", "/app/language", {language});
  await learn();
  live(page.lineUp);
  await show({again: true});
}
async function copy(output) {
  try {
    await navigator.clipboard.writeText(output.textContent);
    notice(say("copied"));
  } catch {
    getSelection().selectAllChildren(output);
  }
}
async function more(button, part) {
  const answer = await call("GET", `/app/parts/${part}`);
  if (!answer.ok) throw new Error(say("failed-request"));
  const rows = [...parse(await answer.text()).querySelectorAll("#rows > li")];
  button.closest("li").replaceWith(...rows);
  page.grown = true;
  for (const row of rows) row.querySelectorAll("time").forEach(tell);
  rows[0]?.querySelector("a, summary, button")?.focus({preventScroll: true});
}

// --- forms -------------------------------------------------------------------------------------------
main.addEventListener("submit", (event) => {
  const form = event.target;
  const d = form.dataset;
  if (d.login) return;
  if (d.filter) {
    event.preventDefault();
    return filter(form);
  }
  const at = form.closest("[data-approve]");
  submit(event, async () => {
    if (event.submitter && "try" in event.submitter.dataset) await tryOut(form);
    else if (d.form) await send(form);
    else if (d.schedule) await plan(form);
    else if (d.reason) await decide(approvalOf(at), {status: d.reason, note: form.note.value});
    else if ("grant" in d) await decide(approvalOf(at), {status: "approved", grant: granted(form)});
    else if (d.edit) await edit(form);
  });
});
main.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-guard]");
  if (!form) return;
  form.dataset.dirty = "";
  setUnsaved(true);
});
main.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-filter]");
  if (form) filter(form);
});
function filter(form) {
  const given = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const wanted = form.dataset.filter + (String(given) ? `?${given}` : "");
  if (wanted !== location.hash) location.hash = wanted;
}
async function send(form) {
  const d = form.dataset;
  const [method, path] = d.form.split(" ");
  const given = values(form);
  if (d.match && form.elements.confirm.value.trim() !== d.match) throw new BadField("confirm", say("confirm-differs"));
  if (d.confirm && !(await ask(d.confirm))) return;
  const body = d.section ? {[d.section]: given} : given;
  const answer = await api(method, path, method === "DELETE" ? undefined : body);
  setUnsaved(false);
  if ("out" in d) return left(d.out);
  if (d.show) {
    const once = form.querySelector(".once");
    once.hidden = false;
    once.querySelector("output").textContent = answer[d.show];
    return notice(say("shown-once"));
  }
  if ("switch" in d) return switchTo(answer.id);
  if (d.go) {
    notice(say("done"));
    location.hash = d.go + answer.id;
    return;
  }
  notice(say("saved"));
  if (path.startsWith("/api/workspace/")) await learn();
  await kept(form);
}
// One form of a page was saved: what is typed in the others stays.
async function kept(form) {
  delete form.dataset.dirty;
  if (!main.querySelector("form[data-dirty]")) return show({again: true, gently: true});
  page.stale = true;
  setUnsaved(true);
}
async function plan(form) {
  await api("PUT", `/api/tasks/${form.dataset.schedule}`, {schedule: schedule(form, say("missing"))});
  setUnsaved(false);
  notice(say("saved"));
  await kept(form);
}
async function edit(form) {
  const d = form.dataset;
  const input = parsed(form.elements.input, say("bad-json"));
  if (input === null || typeof input !== "object" || Array.isArray(input)) throw new BadField("input", say("bad-json"));
  await api("PUT", `/api/audit/approvals/${d.edit}/input`, {input, version: Number(d.version)});
  setUnsaved(false);
  notice(say("edited"));
  await show();
}
function granted(form) {
  const grant = {minutes: Number(form.minutes.value), thisTaskOnly: form.thisTaskOnly.checked};
  if (form.maxUses.value) grant.maxUses = Number(form.maxUses.value);
  return grant;
}

// What the form would have changed about past decisions. Nothing is saved.
const VERDICTS = {ALLOW: "verdict-allow", DENY: "verdict-deny", ESCALATE: "verdict-escalate"};
const TONES = {ALLOW: "good", DENY: "bad", ESCALATE: "ask"};
async function tryOut(form) {
  const trial = await api("POST", "/api/governance/policy-test", {[form.dataset.section]: values(form)});
  const count = trial.different.length;
  const told = !trial.tested ? "tried-nothing" : count ? "tried-different" : "tried-same";
  const textContent = say(told, {tested: trial.tested, count});
  const rows = count ? [make("ul", {className: "list"}, ...trial.different.map(difference))] : [];
  form.querySelector(".trial").replaceChildren(make("p", {textContent}), ...rows);
}
function difference({receiptId, tool, decidedAt, before, after}) {
  const time = make("time", {dateTime: decidedAt});
  tell(time);
  const why = make("span", {className: "hint", textContent: after.reason || before.reason});
  const words = make("span", {className: "grow"}, make("b", {textContent: tool}), why, time);
  const verdicts = {before: say(VERDICTS[before.verdict]), after: say(VERDICTS[after.verdict])};
  const className = `badge ${TONES[after.verdict]}`;
  const verdict = make("span", {className, textContent: say("tried-verdict", verdicts)});
  return make("li", {}, make("a", {className: "cell", href: `#/receipts/${receiptId}`}, words, verdict));
}
