// The Mini App: logs in, fetches the parts of pages, sends what people do to the API, and keeps the page live.
import {api, call, csrf, download, onLost, session} from "./api.js";
import {bridge} from "./bridge.js";
import {BadField, clearProblems, parsed, showProblemAt, showProblems, values} from "./forms.js";
import {listen, stop} from "./live.js";
import {prepare, schedule, zones} from "./schedule.js";
import {verifyReceipt} from "./verify.js";

const $ = (id) => document.getElementById(id);
const main = $("main"), root = document.documentElement;
let texts = JSON.parse($("texts").textContent);
const say = (key, given = {}) => (texts[key] || key).replace(/\{(\w+)\}/g, (all, name) => name in given ? given[name] : all);
session.unreachable = say("unreachable"); session.texts = texts;
let happened = 0, mark = null, unsaved = false, stale = false, grown = false, depth = 0, shown = "", number = 0;
// how many things this page is sending, and its look at the server that nobody asked for
let writing = 0, looking = null;
const scrolls = new Map();

// --- saying things -----------------------------------------------------------------------------------
function notice(text, bad) {
  const box = $(bad ? "alert" : "notice");
  $(bad ? "notice" : "alert").hidden = true;
  box.textContent = text; box.hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => { box.hidden = true; }, bad ? 8000 : 2800);
  bridge.haptic(bad ? "error" : "success");
}
for (const id of ["notice", "alert"]) $(id).onclick = () => { $(id).hidden = true; };

function ask(text) {
  if (bridge.inside) return bridge.popup(text, say("continue"), say("cancel"));
  const box = $("ask");
  $("ask-text").textContent = text; $("ask-yes").textContent = say("continue"); $("ask-no").textContent = say("cancel");
  box.returnValue = "no"; box.showModal();
  return new Promise((resolve) => box.addEventListener("close", () => resolve(box.returnValue === "yes"), {once: true}));
}
const maySwitch = async () => !unsaved || ask(say("leave"));
function setUnsaved(on) { if (on !== unsaved) { unsaved = on; bridge.unsaved(on); } }
addEventListener("beforeunload", (event) => { if (unsaved && !bridge.inside) event.preventDefault(); });

// --- logging in --------------------------------------------------------------------------------------
// a link from chat says which of several workspaces it means
const meant = new URLSearchParams(location.search).get("in");
const START = {apr: "approvals", task: "tasks", rcpt: "receipts", rec: "receipts"};
async function enter(workspace) {
  session.workspace = workspace; session.open = true;
  if (!bridge.inside) sessionStorage.setItem("workspace", workspace);
  await learn();
  $("tabs").hidden = false; $("live").hidden = false; live(false);
  hear();
  const start = bridge.startParam.match(/^(apr|task|rcpt|rec)_([0-9a-f-]{36})$/);
  const wanted = location.hash.startsWith("#/") ? location.hash : start ? `#/${START[start[1]]}/${start[2]}` : "#/home";
  history.replaceState({launch: bridge.launch, depth: 0}, "", wanted);
  await show();
}
async function learn() {
  const answer = await call("GET", "/app/me");
  if (!answer.ok) throw new Error(say("failed-request"));
  const me = await answer.json();
  session.language = me.language; texts = session.texts = me.texts; session.unreachable = say("unreachable"); root.lang = me.language; root.dir = me.dir;
  for (const link of document.querySelectorAll("[data-tab]")) link.querySelector("span").textContent = me.tabs[link.dataset.tab];
}
async function accept(invite) {
  const joined = await api("POST", "/api/auth/invite/" + encodeURIComponent(invite), {});
  notice(say("welcome"));
  return joined.workspaceId;
}
async function loggedIn(data, invite) {
  // outside Telegram the cookie of this answer is the session: the token itself is not kept
  if (bridge.inside) session.token = data.token;
  let place = data.workspaceId || data.workspace.id;
  if (invite) try { place = await accept(invite); } catch (error) { notice(error.message, true); }
  return enter(place);
}
// with an invite somebody new may log in; it waits here while the browser is at the provider
const withInvite = (body, invite) => (invite ? {...body, invite} : body);
function keptInvite() {
  const kept = sessionStorage.getItem("invite");
  sessionStorage.removeItem("invite");
  return kept;
}
async function boot() {
  const link = location.hash.match(/^#login=([\w-]+)(?:&invite=([\w-]+))?$/), invite = location.hash.match(/^#invite=([\w-]+)$/);
  if (link || invite || bridge.route !== location.hash.slice(1)) history.replaceState({launch: bridge.launch, depth: 0}, "", location.pathname + (bridge.route.startsWith("/") ? "#" + bridge.route : ""));
  if (bridge.inside) return bootInside();
  const back = new URLSearchParams(location.search);
  let token = invite && invite[1];
  if (back.has("state")) {
    token = keptInvite();
    // what the provider added leaves the address, whatever comes of it
    history.replaceState({launch: bridge.launch, depth: 0}, "", location.pathname);
    if (back.has("code")) {
      try { return await loggedIn(await api("POST", "/api/auth/telegram/browser/return", withInvite({code: back.get("code"), state: back.get("state")}, token)), token); } catch (error) { notice(error.message, true); }
    } else notice(say("login-not-given"), true);
  }
  if (link) {
    try { return await loggedIn(await api("POST", "/api/auth/email/link", withInvite({token: link[1]}, link[2])), link[2]); } catch (error) { notice(error.message, true); }
  } else if (csrf()) {
    const answer = await call("GET", "/api/me");
    if (answer.ok) {
      const places = (await answer.json()).workspaces.map((place) => place.id), before = sessionStorage.getItem("workspace");
      let place = places.includes(before) ? before : places[0];
      if (invite) try { place = await accept(invite[1]); } catch (error) { notice(error.message, true); }
      if (place) return enter(place);
    }
  }
  login(token);
}
async function bootInside() {
  const invite = bridge.startParam.match(/^inv_([\w-]+)$/);
  let answer;
  for (let tries = 0; ; tries += 1) {
    try { answer = await api("POST", "/api/auth/telegram", withInvite({initData: bridge.initData}, invite && invite[1])); break; }
    catch (error) {
      // the server may be starting; anything it says against the data is final
      if (tries < 8 && (error.status === 503 || error.status === undefined)) { await new Promise((go) => setTimeout(go, 1000)); continue; }
      return trouble(error.message);
    }
  }
  session.token = answer.token;
  let place = answer.workspace.id;
  if (meant && meant !== place && (await api("GET", "/api/me")).workspaces.some((one) => one.id === meant)) place = meant;
  if (invite) {
    session.open = true;
    try { place = await accept(invite[1]); } catch (error) { notice(error.message, true); }
  }
  await enter(place);
}
function login(invite) {
  stop(); setUnsaved(false); mark = null;
  $("tabs").hidden = true; $("live").hidden = true; $("back").hidden = true;
  $("title").textContent = "Pilot";
  main.replaceChildren($("login").content.cloneNode(true));
  const [asking, proving] = main.querySelectorAll("form");
  let email = "";
  asking.onsubmit = (event) => submit(event, async () => {
    email = asking.email.value;
    const sent = invite ? await api("POST", "/api/auth/invite/" + encodeURIComponent(invite), {email}) : await api("POST", "/api/auth/email/request", {email});
    asking.hidden = true; proving.hidden = false; proving.code.focus();
    main.querySelector("[data-hint]").textContent = sent.code ? say("code-shown", {code: sent.code}) : say("code-sent", {email: sent.email});
  });
  proving.onsubmit = (event) => submit(event, async () => {
    const code = proving.code.value.trim();
    await loggedIn(invite ? await api("POST", "/api/auth/invite/" + encodeURIComponent(invite), {email, code}) : await api("POST", "/api/auth/email/verify", {email, code}));
  });
  const leave = main.querySelector("[data-leave]");
  if (leave) leave.onclick = async () => {
    leave.disabled = true;
    if (invite) sessionStorage.setItem("invite", invite); else sessionStorage.removeItem("invite");
    try { location.assign((await api("POST", "/api/auth/telegram/browser", {})).url); }
    catch (error) { leave.disabled = false; notice(error.message, true); }
  };
  proving.querySelector("[data-other]").onclick = () => login(invite);
}
onLost(() => (bridge.inside ? bootInside() : login()));

// --- pages -------------------------------------------------------------------------------------------
const ONE = {tasks: "task", approvals: "approval", receipts: "receipt", operators: "operator", knowledge: "note", "tool-servers": "tool-server"};
function wantedPart() {
  const [path, search] = location.hash.slice(2).split("?");
  const [name, id] = (path || "home").split("/");
  return {name: name || "home", id, url: "/app/parts/" + (id && ONE[name] ? `${ONE[name]}/${encodeURIComponent(id)}` : encodeURIComponent(name || "home")) + (search ? "?" + search : "")};
}
async function show({quiet = false, again = false, gently = false} = {}) {
  if (!session.open) return;
  const mine = number += 1, wanted = wantedPart(), before = happened;
  let waiting = 0;
  if (!quiet && !again) {
    setUnsaved(false); grown = false;
    // a short wait shows nothing at all: less to look at than a flicker
    waiting = setTimeout(() => { if (mine === number) main.replaceChildren($("skeleton").content.cloneNode(true)); }, 180);
    main.setAttribute("aria-busy", "true");
  }
  const look = looking = quiet ? new AbortController() : null;
  let answer, text;
  try { answer = await call("GET", wanted.url, undefined, look && look.signal); text = await answer.text(); }
  catch {
    clearTimeout(waiting);
    if (mine !== number) return;
    if (!quiet) trouble(say("unreachable"));
    // with the line of events down there is another look when it is back
    else if (lineUp && !look.signal.aborted) setTimeout(() => { if (mine === number) refresh(); }, 1500);
    return;
  }
  if (looking === look) looking = null;
  clearTimeout(waiting);
  if (mine !== number || answer.status === 401) return;
  // what is gone is shown as gone; any other trouble of a look nobody asked for is not shown
  if (quiet && (text === shown || (answer.status >= 400 && answer.status !== 404))) return;
  // somebody began to do something here while this was on its way
  if (quiet && inHand()) { stale = true; return; }
  // what was typed while this was on its way is worth more than a fresh page
  if (gently && main.querySelector("form[data-dirty]")) { stale = true; return; }
  shown = text;
  draw(text, {keep: quiet || again, wanted});
  // what happened while this was on its way may be missing from it
  if (happened !== before && mark && mark.dataset.live) setTimeout(() => { if (mine === number) refresh(); }, 150);
  if (answer.status === 503) setTimeout(() => { if (mine === number) show({again: true}); }, 1500);
}
function draw(text, {keep, wanted}) {
  const open = keep ? new Set([...main.querySelectorAll("details[open]")].map(nameOf)) : new Set();
  const page = new DOMParser().parseFromString(text, "text/html");
  const focused = keep && document.activeElement && main.contains(document.activeElement) ? pathTo(document.activeElement) : "";
  main.replaceChildren(...page.body.childNodes);
  main.removeAttribute("aria-busy");
  for (const details of main.querySelectorAll("details")) if (open.has(nameOf(details))) details.open = true;
  mark = main.querySelector(".mark");
  stale = false;
  const title = mark ? mark.dataset.title : "Pilot", parent = mark ? mark.dataset.parent : "";
  $("title").textContent = title; document.title = title === "Pilot" ? title : `${title} · Pilot`;
  const tab = ["home", "tasks", "approvals", "receipts"].includes(wanted.name) ? wanted.name : wanted.name === "new-task" ? "tasks" : "more";
  for (const link of document.querySelectorAll("[data-tab]")) { if (link.dataset.tab === tab) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current"); }
  $("back").hidden = !parent || bridge.inside; bridge.back(Boolean(parent));
  bottomButtons();
  for (const time of main.querySelectorAll("time")) tell(time);
  zones(main);
  for (const form of main.querySelectorAll("form[data-schedule]")) prepare(form, session.language);
  tick();
  const receipt = main.querySelector("[data-receipt]");
  if (receipt) prove(receipt.dataset.receipt);
  if (!keep) { $("title").focus({preventScroll: true}); scrollTo(0, scrolls.get(location.hash + depth) || 0); }
  else if (focused) { const again = main.querySelector(focused); if (again) again.focus({preventScroll: true}); }
}
const nameOf = (details) => details.closest("[id]").id + "/" + details.querySelector("summary").textContent.trim();
function pathTo(element) {
  const parts = [];
  for (let at = element; at !== main; at = at.parentElement) parts.unshift(`:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
  return ":scope > " + parts.join(" > ");
}
function tell(time) {
  const moment = new Date(time.dateTime);
  if (isNaN(moment)) return;
  const today = new Date().toDateString() === moment.toDateString();
  time.textContent = moment.toLocaleString(session.language, today ? {timeStyle: "short"} : {dateStyle: "medium", timeStyle: "short"});
  time.title = moment.toLocaleString(session.language, {dateStyle: "full", timeStyle: "long"});
}
function trouble(text) {
  mark = null; shown = "";
  const box = document.createElement("div"), words = document.createElement("p"), button = document.createElement("button");
  box.className = "card trouble"; box.setAttribute("role", "alert");
  words.textContent = text; button.type = "button"; button.className = "wide"; button.textContent = say("again");
  button.onclick = () => (session.open ? show() : location.reload());
  box.append(words, button); main.replaceChildren(box); main.removeAttribute("aria-busy");
}
function tick() {
  clearTimeout(tick.timer);
  let over = false;
  const clocks = main.querySelectorAll("[data-countdown]");
  for (const clock of clocks) {
    const left = Math.ceil((new Date(clock.dataset.countdown) - Date.now()) / 1000);
    clock.textContent = say("wait", {seconds: Math.max(0, left)});
    over ||= left <= 0;
  }
  if (over) tick.timer = setTimeout(() => show({quiet: true}), 1200);
  else if (clocks.length) tick.timer = setTimeout(tick, 500);
}
async function prove(id) {
  let checks = [];
  const list = $("checks");
  try {
    const [data, keys] = await Promise.all([api("GET", "/api/governance/receipts/" + id), api("GET", "/api/governance/keys")]);
    if (globalThis.crypto && crypto.subtle) checks = await verifyReceipt(data, keys);
    if (!checks.length || checks.some((check) => check.ok === null)) {
      // this browser lacks the means: the server checks, and the page says that it was the server
      const answer = await call("GET", "/app/parts/receipt-check/" + encodeURIComponent(id));
      if (!answer.ok) throw new Error(say("failed-request"));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return list.replaceChildren(...page.body.children);
    }
    const items = checks.map((check) => Object.assign(document.createElement("li"), {className: check.ok ? "good" : "bad", textContent: say(check.name)}));
    const good = checks.every((check) => check.ok);
    items.push(Object.assign(document.createElement("li"), {className: good ? "hint" : "bad", textContent: good ? say("checked-here", {size: data.checkpoint.size}) : say("check-bad")}));
    list.replaceChildren(...items);
  } catch (error) { list.replaceChildren(Object.assign(document.createElement("li"), {className: "bad", textContent: error.message})); }
}

// --- getting about -----------------------------------------------------------------------------------
addEventListener("scroll", () => scrolls.set(location.hash + depth, scrollY), {passive: true});
addEventListener("hashchange", () => {
  const known = history.state && typeof history.state.depth === "number";
  if (known) depth = history.state.depth;
  else {
    depth += 1;
    scrolls.delete(location.hash + depth);
    history.replaceState({launch: bridge.launch, depth}, "");
  }
  show();
});
async function goBack() {
  if (!(await maySwitch())) return;
  setUnsaved(false);
  if (depth > 0) history.back();
  else location.hash = (mark && mark.dataset.parent) || "#/home";
}
$("back").onclick = goBack;
bridge.on("back_button_pressed", goBack);
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[href^='#/']");
  if (!link) return;
  const target = link.getAttribute("href");
  if (unsaved) { event.preventDefault(); if (await maySwitch()) { setUnsaved(false); location.hash = target; } }
  else if (target === location.hash) { event.preventDefault(); show({again: true}); }
});

// --- deciding ----------------------------------------------------------------------------------------
async function decide(d, body) {
  let answer;
  try { answer = await api("PUT", "/api/audit/approvals/" + d.id, {version: Number(d.version), digest: d.digest, ...body}); }
  catch (error) {
    if (error.code !== "step_up_required") throw error;
    notice(say(bridge.inside ? "step-up-inside" : "step-up-outside"), true);
    // the page stays in the address: after the login it is here again
    if (!bridge.inside) { setUnsaved(false); login(); }
    return;
  }
  const word = answer.status === "pending" ? say("voted", {have: answer.approvedBy.length, need: answer.quorum}) : say({approved: "approved", rejected: "denied", changes_requested: "sent-back"}[answer.status]);
  setUnsaved(false);
  notice(word);
  await show({again: true});
}
const onPage = () => main.querySelector("[data-approve]");
function bottomButtons() {
  const here = onPage();
  root.classList.toggle("bottom-buttons", Boolean(here) && bridge.inside);
  bridge.approve(here ? say("approve") : ""); bridge.deny(here ? say("deny") : "");
}
let deciding = false;
async function pressed(status) {
  const here = onPage();
  if (!here || deciding) return;
  deciding = true;
  bridge.busy(true, say("approve"), say("deny"));
  writes();
  try { await decide({id: here.dataset.approve, version: here.dataset.version, digest: here.dataset.digest}, {status}); }
  catch (error) { notice(error.message, true); await show({again: true}); }
  finally { wrote(); deciding = false; bottomButtons(); }
}
bridge.on("main_button_pressed", () => pressed("approved"));
bridge.on("secondary_button_pressed", () => pressed("rejected"));

// --- forms and buttons -------------------------------------------------------------------------------
// While the page sends something it does not look by itself: what it shows may be what is going away.
function writes() {
  writing += 1;
  if (looking) { looking.abort(); looking = null; stale = true; }
}
function wrote() { writing -= 1; if (!writing && stale) refresh(); }
async function submit(event, work) {
  event.preventDefault();
  const form = event.target, button = event.submitter || form.querySelector("button:not([type=button])");
  clearProblems(form);
  if (button) { button.disabled = true; button.setAttribute("aria-busy", "true"); }
  writes();
  try { await work(); }
  catch (error) {
    bridge.haptic("error");
    if ([404, 409, 410].includes(error.status) && form.closest("[data-approve]")) { notice(error.message, true); setUnsaved(false); await show({again: true}); }
    else showProblems(form, error);
  } finally { wrote(); if (button) { button.disabled = false; button.removeAttribute("aria-busy"); } }
}
async function press(button, work) {
  button.disabled = true; button.setAttribute("aria-busy", "true");
  writes();
  try { await work(); }
  catch (error) {
    if ([404, 409, 410].includes(error.status)) { notice(error.message, true); await show({again: true}); }
    else { bridge.haptic("error"); showProblemAt(button, error.message); }
  } finally { wrote(); button.disabled = false; button.removeAttribute("aria-busy"); }
}
async function switchTo(workspace) {
  session.workspace = workspace; bridge.haptic("select");
  if (!bridge.inside) sessionStorage.setItem("workspace", workspace);
  hear();
  location.hash = "#/home";
  await learn();
}
// After leaving or closing a workspace: into another one, or in again from the start.
async function left(where) {
  setUnsaved(false);
  if (where !== "elsewhere") return out();
  const places = (await api("GET", "/api/me")).workspaces;
  if (places.length) return switchTo(places[0].id);
  history.replaceState({launch: bridge.launch, depth: 0}, "", "#/home");
  if (bridge.inside) return bootInside();
  await api("DELETE", "/api/auth/session");
  return out();
}
async function out() {
  session.open = false; session.token = ""; session.workspace = "";
  stop(); history.replaceState({launch: "", depth: 0}, "", location.pathname);
  login();
}
main.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const d = button.dataset;
  if (d.confirm && !(await ask(d.confirm))) return;
  if (d.decide) press(button, () => decide(d, {status: d.decide}));
  else if (d.api) press(button, async () => {
    const [method, path] = d.api.split(" ");
    await api(method, path, d.json ? JSON.parse(d.json) : method === "GET" || method === "DELETE" ? undefined : {});
    if ("out" in d) return left(d.out);
    if (d.to) { setUnsaved(false); if (d.said) notice(d.said); location.hash = d.to; return; }
    if (d.said) notice(d.said); else bridge.haptic("success");
    await show({again: true});
  });
  else if (d.download) press(button, () => download(d.download, d.name));
  else if (d.more) press(button, () => more(button, d.more));
  else if (d.workspace) press(button, () => switchTo(d.workspace));
  else if (d.language) press(button, async () => { await api("POST", "/app/language", {language: d.language}); await learn(); live(lineUp); await show({again: true}); });
  else if ("logout" in d) press(button, async () => { await api("DELETE", "/api/auth/session"); await out(); });
  else if ("again" in d) show();
  else if ("copy" in d || "share" in d) {
    const text = button.closest(".once").querySelector("output").textContent;
    if ("share" in d) bridge.telegramLink("/share/url?url=" + encodeURIComponent(text));
    else try { await navigator.clipboard.writeText(text); notice(say("copied")); } catch { getSelection().selectAllChildren(button.closest(".once").querySelector("output")); }
  }
});
async function more(button, part) {
  const answer = await call("GET", "/app/parts/" + part);
  if (!answer.ok) throw new Error(say("failed-request"));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const rows = [...page.querySelectorAll("#rows > li")];
  button.closest("li").replaceWith(...rows);
  grown = true;
  for (const row of rows) for (const time of row.querySelectorAll("time")) tell(time);
  const first = rows[0] && rows[0].querySelector("a, summary, button");
  if (first) first.focus({preventScroll: true});
}
function filter(form) {
  const given = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const wanted = form.dataset.filter + (String(given) ? "?" + given : "");
  if (wanted !== location.hash) location.hash = wanted;
}
main.addEventListener("submit", (event) => {
  const form = event.target, d = form.dataset;
  if (d.login) return;
  if (d.filter) { event.preventDefault(); filter(form); return; }
  const at = form.closest("[data-approve]");
  const approval = at && {id: at.dataset.approve, version: at.dataset.version, digest: at.dataset.digest};
  submit(event, async () => {
    if (event.submitter && "try" in event.submitter.dataset) await tryOut(form);
    else if (d.form) await send(form);
    else if (d.schedule) {
      await api("PUT", "/api/tasks/" + d.schedule, {schedule: schedule(form, say("missing"))});
      setUnsaved(false); notice(say("saved")); await kept(form);
    }
    else if (d.reason) await decide(approval, {status: d.reason, note: form.note.value});
    else if ("grant" in d) {
      const grant = {minutes: Number(form.minutes.value), thisTaskOnly: form.thisTaskOnly.checked};
      if (form.maxUses.value) grant.maxUses = Number(form.maxUses.value);
      await decide(approval, {status: "approved", grant});
    } else if (d.edit) {
      const input = parsed(form.elements.input, say("bad-json"));
      if (input === null || typeof input !== "object" || Array.isArray(input)) throw new BadField("input", say("bad-json"));
      await api("PUT", `/api/audit/approvals/${d.edit}/input`, {input, version: Number(d.version)});
      setUnsaved(false); notice(say("edited")); await show();
    }
  });
});
// What the form would have changed about past decisions. Nothing is saved.
const VERDICTS = {ALLOW: "verdict-allow", DENY: "verdict-deny", ESCALATE: "verdict-escalate"};
async function tryOut(form) {
  const trial = await api("POST", "/api/governance/policy-test", {[form.dataset.section]: values(form)});
  const said = document.createElement("p"), rows = document.createElement("ul"), count = trial.different.length;
  said.textContent = say(!trial.tested ? "tried-nothing" : count ? "tried-different" : "tried-same", {tested: trial.tested, count});
  rows.className = "list";
  rows.append(...trial.different.map((one) => {
    const row = document.createElement("li"), link = document.createElement("a"), words = document.createElement("span");
    const verdict = document.createElement("span"), tool = document.createElement("b"), why = document.createElement("span"), time = document.createElement("time");
    link.className = "cell"; link.href = "#/receipts/" + one.receiptId;
    words.className = "grow"; tool.textContent = one.tool;
    why.className = "hint"; why.textContent = one.after.reason || one.before.reason;
    time.dateTime = one.decidedAt; tell(time);
    verdict.className = "badge " + {ALLOW: "good", DENY: "bad", ESCALATE: "ask"}[one.after.verdict];
    verdict.textContent = say("tried-verdict", {before: say(VERDICTS[one.before.verdict]), after: say(VERDICTS[one.after.verdict])});
    words.append(tool, why, time); link.append(words, verdict); row.append(link);
    return row;
  }));
  form.querySelector(".trial").replaceChildren(said, ...(count ? [rows] : []));
}
// One form of a page was saved: what is typed in the others stays.
async function kept(form) {
  delete form.dataset.dirty;
  if (main.querySelector("form[data-dirty]")) { stale = true; setUnsaved(true); } else await show({again: true, gently: true});
}
async function send(form) {
  const d = form.dataset, [method, path] = d.form.split(" "), given = values(form);
  if (d.match && form.elements.confirm.value.trim() !== d.match) throw new BadField("confirm", say("confirm-differs"));
  if (d.confirm && !(await ask(d.confirm))) return;
  const answer = await api(method, path, method === "DELETE" ? undefined : d.section ? {[d.section]: given} : given);
  setUnsaved(false);
  if ("out" in d) return left(d.out);
  if (d.show) {
    const once = form.querySelector(".once");
    once.hidden = false; once.querySelector("output").textContent = answer[d.show];
    notice(say("shown-once"));
    return;
  }
  if ("switch" in d) return switchTo(answer.id);
  if (d.go) { notice(say("done")); location.hash = d.go + answer.id; return; }
  notice(say("saved"));
  if (path.startsWith("/api/workspace/")) await learn();
  await kept(form);
}
main.addEventListener("input", (event) => { const form = event.target.closest("form[data-guard]"); if (form) { form.dataset.dirty = ""; setUnsaved(true); } });
main.addEventListener("change", (event) => { const form = event.target.closest("form[data-filter]"); if (form) filter(form); });

// --- live events -------------------------------------------------------------------------------------
let lineUp = false;
function live(on) { lineUp = on; $("live").textContent = say(on ? "live" : "offline"); $("live").className = "live" + (on ? " on" : ""); }
const typing = () => main.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), textarea, select");
// A page that changes between the finger's coming down and its going up swallows the tap.
let held = false;
const inHand = () => unsaved || grown || writing || held || typing() || main.querySelector(".once:not([hidden])");
function refresh() {
  if (inHand()) { stale = true; return; }
  show({quiet: true});
}
main.addEventListener("focusout", () => setTimeout(() => { if (stale) refresh(); }, 200));
addEventListener("pointerdown", () => { held = true; }, true);
// the click itself comes after these
for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => setTimeout(() => { held = false; if (stale) refresh(); }), true);
function hear() {
  let timer = 0;
  listen({
    state: live,
    back: refresh,
    heard(kind, data) {
      happened += 1;
      if (!mark || !mark.dataset.live.split(" ").includes(kind.split(".")[0])) return;
      const ref = mark.dataset.ref;
      if (ref && data.ref !== ref && data.taskId !== ref) return;
      clearTimeout(timer); timer = setTimeout(refresh, 150);
    },
  });
}

boot().catch((error) => trouble(error.message)).finally(() => requestAnimationFrame(() => bridge.ready()));
