"use strict";
// A chat page over the simulator's control API, and the host side of the Mini App bridge.
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
let me = Number(query.get("user")) || 0;
let theme = query.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
let state = null, shownAnswers = null, lastDrawn = "", appTheme = {};

const setTheme = (name) => { theme = name; document.documentElement.dataset.theme = name; };
setTheme(theme);

async function post(path, body) {
  const answer = await fetch("/sim/" + path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
  const data = await answer.json();
  if (!answer.ok) { toast(data.description || "refused"); throw new Error(data.description); }
  return data;
}

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text; $("toast").hidden = false;
  clearTimeout(toastTimer); toastTimer = setTimeout(() => { $("toast").hidden = true; }, 4000);
}

// Text with entities as DOM nodes: never as markup, so nothing a bot sends can run here.
function rich(text, entities) {
  const fragment = document.createDocumentFragment();
  const list = [...(entities || [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const build = (from, to, inside) => {
    const out = document.createDocumentFragment();
    let at = from, i = 0;
    while (i < inside.length) {
      const e = inside[i];
      if (e.offset > at) out.append(text.slice(at, e.offset));
      const end = Math.min(to, e.offset + e.length);
      const nested = [];
      i += 1;
      while (i < inside.length && inside[i].offset < end) nested.push(inside[i++]);
      const node = element(e, text.slice(e.offset, end));
      node.append(build(e.offset, end, nested));
      out.append(node);
      at = end;
    }
    if (at < to) out.append(text.slice(at, to));
    return out;
  };
  fragment.append(build(0, text.length, list));
  return fragment;
}
function element(e, inner) {
  const tags = {bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre", blockquote: "blockquote", expandable_blockquote: "blockquote"};
  if (e.type === "text_link" || e.type === "url") {
    const a = document.createElement("a"); const url = e.url || inner;
    if (/^https?:/.test(url)) { a.href = url; a.target = "_blank"; a.rel = "noreferrer"; }
    return a;
  }
  if (e.type === "bot_command") {
    const b = document.createElement("a"); b.href = "#"; b.onclick = (ev) => { ev.preventDefault(); say(inner); }; return b;
  }
  return document.createElement(tags[e.type] || "span");
}

const say = (text) => post("say", {user: me, text, chat: chat() ? chat().id : me});
const chat = () => state && (state.chats.find((c) => String(c.id) === query.get("chat")) || state.chats.find((c) => c.id === me));

function draw() {
  const bot = state.bots[0];
  $("bot-name").textContent = bot ? bot.first_name : "waiting for the bot";
  const c = chat();
  $("bot-state").textContent = (c && c.action) ? c.action + "…" : "local simulator, not Telegram";
  if ($("person").options.length !== state.people.length) {
    $("person").replaceChildren(...state.people.map((p) => new Option(p.first_name, p.id, false, p.id === me)));
  }
  if (!me && state.people.length) me = state.people[0].id;
  $("menu").hidden = !(bot && bot.menuButton && bot.menuButton.web_app);
  if (bot && bot.menuButton.text) $("menu").textContent = bot.menuButton.text;
  const mark = JSON.stringify([me, c && c.messages, c && c.draft]);
  if (c && mark !== lastDrawn) { lastDrawn = mark; drawMessages(c, bot); }
  drawAnswers();
}

function drawMessages(c, bot) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const items = [];
  for (const m of c.messages) {
    const li = document.createElement("li");
    li.className = "m" + (m.from.id === me ? " me" : "");
    li.dataset.id = m.message_id;
    if (m.reply_to_message) {
      const r = document.createElement("span"); r.className = "reply"; r.textContent = m.reply_to_message.text || ""; li.append(r);
    }
    if (m.document) li.append("📄 " + m.document.file_name + "\n");
    li.append(rich(m.text || m.caption || "", m.entities || m.caption_entities));
    const t = document.createElement("time");
    t.textContent = new Date(m.date * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"}) + (m.edit_date ? " edited" : "");
    li.append(t);
    items.push(li);
    if (m.reply_markup && m.reply_markup.inline_keyboard) items.push(keyboard(m));
  }
  if (c.draft) { const d = document.createElement("li"); d.className = "m"; d.textContent = c.draft; items.push(d); }
  if (!c.messages.length) {
    const start = document.createElement("li"); start.className = "keys";
    const b = document.createElement("button"); b.textContent = "START"; b.className = "primary"; b.type = "button"; b.disabled = !bot;
    b.onclick = () => say("/start"); start.append(b); items.push(start);
  }
  list.replaceChildren(...items);
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function keyboard(m) {
  const box = document.createElement("li"); box.className = "keys";
  for (const row of m.reply_markup.inline_keyboard) {
    const line = document.createElement("div");
    for (const button of row) {
      const b = document.createElement("button"); b.type = "button"; b.textContent = button.text;
      if (button.style) b.className = button.style;
      b.onclick = () => pressed(m, button);
      line.append(b);
    }
    box.append(line);
  }
  return box;
}
function pressed(m, button) {
  if (button.callback_data) return post("press", {user: me, message: m.message_id, data: button.callback_data, chat: m.chat.id});
  if (button.web_app) return openApp(button.web_app.url);
  if (button.copy_text) { navigator.clipboard?.writeText(button.copy_text.text); return toast("copied"); }
  if (button.url) return openLink(button.url);
}
function openLink(url) {
  const link = new URL(url);
  if (link.hostname === "t.me") {
    const start = link.searchParams.get("startapp"), hello = link.searchParams.get("start");
    if (start !== null) return openApp("", start);
    if (hello !== null) return say("/start " + hello);
  }
  open(url, "_blank", "noreferrer");
}
function drawAnswers() {
  const count = state.answers.length ? JSON.stringify(state.answers.at(-1)) + state.answers.length : "";
  if (shownAnswers !== null && count !== shownAnswers && state.answers.length) {
    const last = state.answers.at(-1);
    if (last.user === me && last.text) toast(last.text);
  }
  shownAnswers = count;
}

// --- the Mini App: the host side of the bridge ---------------------------------------------------
let appOrigin = "";
async function openApp(url, startParam) {
  const opened = await post("open", {user: me, url: url || "", theme, startParam: startParam || ""});
  appTheme = opened.theme; appOrigin = new URL(opened.url).origin;
  $("app").hidden = false; $("frame").src = opened.url;
  for (const id of ["main-button", "second-button", "app-back"]) $(id).hidden = true;
}
function closeApp() { $("app").hidden = true; $("frame").src = "about:blank"; }
function send(eventType, eventData) {
  $("frame").contentWindow?.postMessage(JSON.stringify({eventType, eventData: eventData ?? null}), appOrigin);
}
function viewport() { const f = $("frame"); send("viewport_changed", {height: f.clientHeight, width: f.clientWidth, is_state_stable: true, is_expanded: true}); }
function bottomButton(id, d) {
  const b = $(id); b.hidden = !d.is_visible; b.textContent = d.text || "Continue"; b.disabled = d.is_active === false;
  b.style.background = d.color || ""; b.style.color = d.text_color || "";
}
const host = {
  web_app_ready() {}, web_app_expand() { viewport(); }, web_app_close: closeApp,
  web_app_request_theme() { send("theme_changed", {theme_params: appTheme}); },
  web_app_request_viewport: viewport,
  web_app_request_safe_area() { send("safe_area_changed", {top: 0, bottom: 0, left: 0, right: 0}); },
  web_app_request_content_safe_area() { send("content_safe_area_changed", {top: 0, bottom: 0, left: 0, right: 0}); },
  web_app_setup_main_button(d) { bottomButton("main-button", d); },
  web_app_setup_secondary_button(d) { bottomButton("second-button", d); },
  web_app_setup_back_button(d) { $("app-back").hidden = !d.is_visible; },
  web_app_open_link(d) { if (/^https?:/.test(d.url)) open(d.url, "_blank", "noreferrer"); },
  web_app_open_tg_link(d) { openLink("https://t.me" + d.path_full); },
  web_app_open_popup(d) {
    const text = [d.title, d.message].filter(Boolean).join("\n");
    const yes = confirm(text); const buttons = d.buttons || [];
    const picked = yes ? buttons.find((b) => b.type !== "cancel") : buttons.find((b) => b.type === "cancel");
    send("popup_closed", picked ? {button_id: picked.id} : {});
  },
  web_app_data_send(d) { say(String(d.data)); closeApp(); },
};
addEventListener("message", (event) => {
  if (event.source !== $("frame").contentWindow || event.origin !== appOrigin) return;
  let m; try { m = typeof event.data === "string" ? JSON.parse(event.data) : event.data; } catch { return; }
  const handler = host[m && m.eventType];
  if (handler) handler(m.eventData || {});
});
$("main-button").onclick = () => send("main_button_pressed");
$("second-button").onclick = () => send("secondary_button_pressed");
$("app-back").onclick = () => send("back_button_pressed");
$("app-close").onclick = closeApp;
$("menu").onclick = () => openApp("");

// --- the composer --------------------------------------------------------------------------------
$("composer").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("text").value.trim(); if (!text) return;
  $("text").value = ""; grow(); $("commands").hidden = true;
  await say(text);
};
function grow() { const t = $("text"); t.style.height = "auto"; t.style.height = t.scrollHeight + 2 + "px"; }
$("text").addEventListener("input", () => {
  grow();
  const bot = state && state.bots[0]; const typed = $("text").value;
  const fits = bot && /^\/\w*$/.test(typed) ? bot.commands.filter((c) => ("/" + c.command).startsWith(typed)) : [];
  $("commands").hidden = !fits.length;
  $("commands").replaceChildren(...fits.map((c) => {
    const b = document.createElement("button"); b.type = "button"; const d = document.createElement("span"); d.textContent = c.description;
    b.append("/" + c.command, d); b.onclick = () => { $("text").value = "/" + c.command + " "; $("commands").hidden = true; $("text").focus(); }; return b;
  }));
});
$("text").addEventListener("keydown", (e) => { if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); $("composer").requestSubmit(); } });
$("theme").onclick = () => { setTheme(theme === "dark" ? "light" : "dark"); if (!$("app").hidden) post("open", {user: me, theme}).then((o) => { appTheme = o.theme; host.web_app_request_theme(); }).catch(() => {}); };
$("person").onchange = () => { me = Number($("person").value); lastDrawn = ""; draw(); };
$("faults").onsubmit = (e) => { e.preventDefault(); post("fault", {method: $("fault-method").value, kind: $("fault-kind").value, seconds: 2}).then(() => toast("the next such call fails")); };
document.querySelector(".behind").addEventListener("toggle", async function refresh() {
  if (!this.open) return;
  const calls = await (await fetch("/sim/calls")).json();
  $("calls").replaceChildren(...calls.slice(-60).reverse().map((c) => {
    const li = document.createElement("li"); if (c.ok === false) li.className = "bad";
    li.textContent = c.method + " " + (c.params.chat_id || "") + " " + (c.error || String(c.params.text || "").slice(0, 60)); return li;
  }));
  setTimeout(() => refresh.call(this), 1500);
});

const source = new EventSource("/sim/events");
source.onmessage = (event) => { state = JSON.parse(event.data); draw(); };
