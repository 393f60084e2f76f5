// What this page knows of itself, in one object for all modules, and how it speaks to whoever reads it.
import {session} from "./api.js";
import {bridge} from "./bridge.js";

export const $ = (id) => document.getElementById(id);
export const main = $("main");
export const root = document.documentElement;

export const page = {
  // what the scripts say themselves
  texts: JSON.parse($("texts").textContent),
  // what the drawn part says of itself (its title, where it belongs, which events change it), and its HTML
  mark: null,
  shown: "",
  // of the last look at the server (the answer to an earlier one comes too late); what ends one nobody asked for
  number: 0,
  looking: null,
  // events heard so far, by a line that may be down; the last one seen
  happened: 0,
  line: null,
  lineUp: false,
  lastEvent: "",
  // pages one can go back
  depth: 0,
  // something is typed that would be lost; the list was made longer; there may be something newer, to be drawn later
  unsaved: false,
  grown: false,
  stale: false,
  // a finger is down: a page that changes before it goes up swallows the tap
  held: false,
  // things on their way to the server, and whether a decision is among them
  writing: 0,
  deciding: false,
};

export const say = (key, given = {}) =>
  (page.texts[key] || key).replace(/\{(\w+)\}/g, (all, name) => (name in given ? given[name] : all));

export function speak(texts) {
  page.texts = texts;
  session.texts = texts;
  session.unreachable = say("unreachable");
}
speak(page.texts);

export function make(tag, given, ...children) {
  const node = Object.assign(document.createElement(tag), given);
  node.append(...children);
  return node;
}
export const parse = (html) => new DOMParser().parseFromString(html, "text/html");

export function notice(text, bad) {
  const box = $(bad ? "alert" : "notice");
  $(bad ? "notice" : "alert").hidden = true;
  box.textContent = text;
  box.hidden = false;
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => (box.hidden = true), bad ? 8000 : 2800);
  bridge.haptic(bad ? "error" : "success");
}
for (const id of ["notice", "alert"]) $(id).onclick = () => ($(id).hidden = true);

export function ask(text, yes = say("continue"), no = say("cancel")) {
  if (bridge.inside) return bridge.popup(text, yes, no);
  const box = $("ask");
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  $("ask-no").textContent = no;
  box.returnValue = "no";
  box.showModal();
  return new Promise((resolve) =>
    box.addEventListener("close", () => resolve(box.returnValue === "yes"), {once: true}),
  );
}

export function setUnsaved(there) {
  if (there === page.unsaved) return;
  page.unsaved = there;
  bridge.unsaved(there);
}
export const mayLeave = async () => !page.unsaved || ask(say("leave"), say("leave-yes"), say("leave-no"));
addEventListener("beforeunload", (event) => {
  if (page.unsaved && !bridge.inside) event.preventDefault();
});
