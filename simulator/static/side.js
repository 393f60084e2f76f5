// The side panel: chats, faults, the log of Bot API calls.
import {words} from "/static/blocks.js";
const $ = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  if (name) node.className = name;
  return node;
};
let host = null,
  shownCalls = -1;

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"});
export function avatar(chat) {
  const node = make(
    "span",
    (chat.title || "?").slice(0, 1).toUpperCase(),
    "avatar h" + (Math.abs(chat.type === "private" ? 0 : chat.id) % 5),
  );
  node.setAttribute("aria-hidden", "true");
  return node;
}
export function preview(message) {
  if (!message) return "No messages yet";
  if (message.document) return "File: " + message.document.file_name;
  if (message.photo) return message.caption || "Photo";
  if (message.rich_message) return words(message.rich_message).slice(0, 200);
  return message.text || "Service message";
}

const visible = () => getComputedStyle($("side")).display !== "none";

export function draw(state, current) {
  if (!visible()) {
    $("chats").replaceChildren();
    return;
  }
  const mark = JSON.stringify([state.me, current?.key, state.chats.map((c) => [c.key, c.title, c.messages.at(-1)])]);
  if ($("chats").dataset.mark !== mark || !$("chats").children.length) {
    $("chats").dataset.mark = mark;
    $("chats").replaceChildren(
      ...state.chats.map((chat) => {
        const item = make("li"),
          button = make("button"),
          told = make("span", "", "words"),
          last = chat.messages.at(-1);
        button.type = "button";
        button.setAttribute("aria-current", String(chat.key === current?.key));
        told.append(make("b", chat.title), make("small", preview(last)));
        button.append(avatar(chat), told);
        if (last) button.append(make("time", clock(last.date)));
        button.onclick = () => host.go(chat.key);
        item.append(button);
        return item;
      }),
    );
  }
  $("block").hidden = !(current && current.type === "private" && current.started);
  if (current) $("block").textContent = current.blocked ? "Unblock this bot" : "Block this bot";
  $("fault-list").replaceChildren(
    ...state.faults.map((f) => make("li", `next ${f.count} × ${f.method}: ${f.kind} (${f.seconds} s)`)),
  );
  $("key").textContent = "Test key of launch data (Ed25519): " + state.testPublicKey;
  if ($("log-panel").open && state.version !== shownCalls) {
    shownCalls = state.version;
    calls();
  }
}

async function calls() {
  const found = await (await fetch("/sim/calls?limit=80")).json();
  $("calls").replaceChildren(
    ...found.reverse().map((c) => {
      const item = make("li", "", c.ok === false ? "bad" : "");
      const said = c.params.text || c.params.caption || "";
      item.append(
        make("b", c.method),
        make("span", ` ${new Date(c.at * 1000).toLocaleTimeString()} · ${c.ms ?? "…"} ms`),
      );
      if (c.error || said) item.append(make("div", c.error || String(said).slice(0, 120)));
      item.title = JSON.stringify(c.params, null, 1).slice(0, 2000);
      return item;
    }),
  );
}

export function show(open) {
  $("side").classList.toggle("open", open);
  $("open-side").setAttribute("aria-expanded", String(open));
  host.redraw();
  (open ? $("close-side") : $("open-side")).focus({preventScroll: true});
}

export function setUp(given) {
  host = given;
  $("open-side").onclick = () => show(true);
  $("close-side").onclick = () => show(false);
  $("log-panel").addEventListener("toggle", () => {
    shownCalls = -1;
    host.redraw();
  });
  $("faults").onsubmit = async (event) => {
    event.preventDefault();
    await host.post("faults", {
      method: $("fault-method").value,
      kind: $("fault-kind").value,
      count: Number($("fault-count").value),
      seconds: Number($("fault-seconds").value),
    });
  };
  $("faults-clear").onclick = () => fetch("/sim/faults", {method: "DELETE"});
  $("block").onclick = () => host.block();
  addEventListener("resize", () => host.redraw());
}
