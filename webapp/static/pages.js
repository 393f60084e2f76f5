// Fetches the parts of pages, draws them, draws them again when something has changed, and leads from one to another.
import {call, session} from "./api.js";
import {bridge} from "./bridge.js";
import {$, main, make, mayLeave, page, parse, root, say, setUnsaved} from "./page.js";
import {prove} from "./proof.js";
import {prepare, zones} from "./schedule.js";

const ONE = {
  tasks: "task",
  approvals: "approval",
  receipts: "receipt",
  operators: "operator",
  knowledge: "note",
  "tool-servers": "tool-server",
};
const scrolls = new Map();

function wantedPart() {
  const [path, search] = location.hash.slice(2).split("?");
  const [name, id] = (path || "home").split("/");
  const part = id && ONE[name] ? `${ONE[name]}/${encodeURIComponent(id)}` : encodeURIComponent(name || "home");
  return {name: name || "home", url: `/app/parts/${part}${search ? `?${search}` : ""}`};
}

// `again`: the same page once more; `quiet`: nobody asked for it; `gently`: only if nothing is typed in it.
export async function show({quiet = false, again = false, gently = false} = {}) {
  if (!session.open) return;
  const mine = (page.number += 1);
  const wanted = wantedPart();
  const before = page.happened;
  const isLast = () => mine === page.number;
  let waiting = 0;
  if (!quiet && !again) {
    setUnsaved(false);
    page.grown = false;
    // a short wait shows nothing at all: less to look at than a flicker
    waiting = setTimeout(() => isLast() && main.replaceChildren($("skeleton").content.cloneNode(true)), 180);
    main.setAttribute("aria-busy", "true");
  }
  const look = (page.looking = quiet ? new AbortController() : null);
  let answer, text;
  try {
    answer = await call("GET", wanted.url, undefined, look?.signal);
    text = await answer.text();
  } catch {
    clearTimeout(waiting);
    if (!isLast()) return;
    if (!quiet) trouble(say("unreachable"));
    // with the line of events down there is another look when it is back
    else if (page.lineUp && !look.signal.aborted) setTimeout(() => isLast() && refresh(), 1500);
    return;
  }
  if (page.looking === look) page.looking = null;
  clearTimeout(waiting);
  if (!isLast() || answer.status === 401) return;
  // what is gone is shown as gone; any other trouble of a look nobody asked for is not shown
  if (quiet && (text === page.shown || (answer.status >= 400 && answer.status !== 404))) return;
  // somebody began to do something here, or typed something, while this was on its way: that is worth more
  if ((quiet && inHand()) || (gently && main.querySelector("form[data-dirty]"))) {
    page.stale = true;
    return;
  }
  page.shown = text;
  draw(text, {keep: quiet || again, name: wanted.name});
  // what happened while this was on its way may be missing from it
  if (page.happened !== before && page.mark?.dataset.live) setTimeout(() => isLast() && refresh(), 150);
  if (answer.status === 503) setTimeout(() => isLast() && show({again: true}), 1500);
}

function draw(text, {keep, name}) {
  const open = new Set(keep ? [...main.querySelectorAll("details[open]")].map(nameOf) : []);
  const focused = keep && main.contains(document.activeElement) ? pathTo(document.activeElement) : "";
  main.replaceChildren(...parse(text).body.childNodes);
  main.removeAttribute("aria-busy");
  for (const details of main.querySelectorAll("details")) if (open.has(nameOf(details))) details.open = true;
  page.mark = main.querySelector(".mark");
  page.stale = false;
  frame(name);
  for (const time of main.querySelectorAll("time")) tell(time);
  zones(main);
  for (const form of main.querySelectorAll("form[data-schedule]")) prepare(form, session.language);
  tick();
  const receipt = main.querySelector("[data-receipt]");
  if (receipt) prove(receipt.dataset.receipt);
  if (!keep) {
    $("title").focus({preventScroll: true});
    scrollTo(0, scrolls.get(location.hash + page.depth) || 0);
  } else if (focused) main.querySelector(focused)?.focus({preventScroll: true});
}
// What is around a page: its title, the tab it belongs to, the ways back and on.
function frame(name) {
  const {title, parent} = page.mark?.dataset || {title: "Pilot", parent: ""};
  $("title").textContent = title;
  document.title = title === "Pilot" ? title : `${title} · Pilot`;
  const under = name === "new-task" ? "tasks" : name;
  const tab = ["home", "tasks", "approvals", "receipts"].includes(under) ? under : "more";
  for (const link of document.querySelectorAll("[data-tab]")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("back").hidden = !parent || bridge.inside;
  bridge.back(Boolean(parent));
  bottomButtons();
}
export function bottomButtons() {
  const here = main.querySelector("[data-approve]");
  root.classList.toggle("bottom-buttons", Boolean(here) && bridge.inside);
  bridge.approve(here ? say("approve") : "");
  bridge.deny(here ? say("deny") : "");
}
const nameOf = (details) => `${details.closest("[id]").id}/${details.querySelector("summary").textContent.trim()}`;
function pathTo(element) {
  const parts = [];
  for (let at = element; at !== main; at = at.parentElement)
    parts.unshift(`:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
  return `:scope > ${parts.join(" > ")}`;
}
export function tell(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.valueOf())) return;
  const today = new Date().toDateString() === moment.toDateString();
  const form = today ? {timeStyle: "short"} : {dateStyle: "medium", timeStyle: "short"};
  time.textContent = moment.toLocaleString(session.language, form);
  time.title = moment.toLocaleString(session.language, {dateStyle: "full", timeStyle: "long"});
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
export function trouble(text) {
  page.mark = null;
  page.shown = "";
  const button = make("button", {type: "button", className: "wide", textContent: say("again")});
  button.onclick = () => (session.open ? show() : location.reload());
  const box = make("div", {className: "card trouble"}, make("p", {textContent: text}), button);
  box.setAttribute("role", "alert");
  main.replaceChildren(box);
  main.removeAttribute("aria-busy");
}

// --- drawing again, when nobody is at work here ------------------------------------------------------
const typing = () =>
  main.contains(document.activeElement) &&
  document.activeElement.matches("input:not([type=checkbox]), textarea, select");
const inHand = () =>
  page.unsaved || page.grown || page.writing || page.held || typing() || main.querySelector(".once:not([hidden])");
export function refresh() {
  if (inHand()) page.stale = true;
  else show({quiet: true});
}
export const catchUp = () => page.stale && refresh();
main.addEventListener("focusout", () => setTimeout(catchUp, 200));
addEventListener("pointerdown", () => (page.held = true), true);
function letGo() {
  page.held = false;
  catchUp();
}
// the click itself comes after these
for (const name of ["pointerup", "pointercancel"]) addEventListener(name, () => setTimeout(letGo), true);

// --- getting about -----------------------------------------------------------------------------------
export const settle = (depth, url) => history.replaceState({launch: bridge.launch, depth}, "", url);
addEventListener("scroll", () => scrolls.set(location.hash + page.depth, scrollY), {passive: true});
addEventListener("hashchange", () => {
  const known = history.state?.depth;
  page.depth = typeof known === "number" ? known : page.depth + 1;
  if (typeof known !== "number") {
    scrolls.delete(location.hash + page.depth);
    settle(page.depth);
  }
  show();
});
async function goBack() {
  if (!(await mayLeave())) return;
  setUnsaved(false);
  if (page.depth > 0) history.back();
  else location.hash = page.mark?.dataset.parent || "#/home";
}
$("back").onclick = goBack;
bridge.on("back_button_pressed", goBack);
document.addEventListener("click", async (event) => {
  const target = event.target.closest("a[href^='#/']")?.getAttribute("href");
  if (!target) return;
  if (page.unsaved) {
    event.preventDefault();
    if (!(await mayLeave())) return;
    setUnsaved(false);
    location.hash = target;
  } else if (target === location.hash) {
    event.preventDefault();
    show({again: true});
  }
});
