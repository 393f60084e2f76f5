// The chat itself, over the simulator's control API.
import {rich} from "/static/text.js";
import {blocks} from "/static/blocks.js";
import * as app from "/static/app.js";
import * as side from "/static/side.js";

const $ = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  if (name) node.className = name;
  return node;
};
const query = new URLSearchParams(location.search);
let me = Number(query.get("user")) || 0;
const wantedBot = query.get("bot") || "",
  wantedChat = query.get("chat") || "";
let state = null,
  source = null,
  shownAnswer = -1,
  shownChat = "",
  replyTo = null,
  editing = null;
const nodes = new Map(),
  waiting = new Set(),
  typed = new Map();

// --- theme ---------------------------------------------------------------------------------------
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => $("theme").value || (dark.matches ? "dark" : "light");
function applyTheme() {
  document.documentElement.dataset.theme = theme();
  app.sendTheme();
}
if (["light", "dark"].includes(query.get("theme"))) $("theme").value = query.get("theme");
$("theme").onchange = applyTheme;
dark.addEventListener("change", applyTheme);

// --- talking to the simulator --------------------------------------------------------------------
async function post(path, body) {
  const answer = await fetch("/sim/" + path, {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify(body),
  });
  const data = await answer.json();
  if (!answer.ok) {
    toast(data.description || "refused");
    throw new Error(data.description);
  }
  return data;
}
const here = () => state?.chats.find((c) => c.key === shownChat) || null;
const where = () => {
  const c = here();
  return c.type === "private" ? {bot: c.bot} : {chat: c.id};
};
const botOf = (c) => state.bots.find((b) => c && (c.type === "private" ? b.username === c.bot : b.id in c.members));
const say = (text, more) => here() && post("say", {user: me, text, ...where(), ...more});

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => {
    $("toast").hidden = true;
  }, 4500);
}
function ask({title, text, buttons}) {
  return new Promise((resolve) => {
    const dialog = $("dialog");
    let answer = null;
    $("dialog-title").textContent = title || "";
    $("dialog-title").hidden = !title;
    $("dialog-text").textContent = text || "";
    $("dialog-buttons").replaceChildren(
      ...buttons.map((b) => {
        const button = make("button", b.text, b.type || "");
        button.onclick = () => {
          answer = b.id;
        };
        return button;
      }),
    );
    dialog.onclose = () => resolve(answer);
    dialog.showModal();
  });
}

// --- links ---------------------------------------------------------------------------------------
// true when the link was dealt with here: links to bots stay inside
function link(url) {
  let to;
  try {
    to = new URL(url);
  } catch {
    return false;
  }
  if (!["t.me", "telegram.me"].includes(to.hostname)) return false;
  const name = to.pathname.split("/")[1] || "";
  const bot = state.bots.find((b) => b.username.toLowerCase() === name.toLowerCase());
  if (!bot) {
    toast(`@${name} is not in this simulator`);
    return true;
  }
  if (to.searchParams.has("startapp")) openApp(bot, {startParam: to.searchParams.get("startapp"), how: "link"});
  else {
    go(`${bot.id}:${me}`);
    if (to.searchParams.has("start")) say(("/start " + to.searchParams.get("start")).trim());
  }
  return true;
}
function openApp(bot, more, buttonText) {
  const c = here();
  const chat = c && c.type !== "private" ? {chat: c.id} : {};
  return app
    .open({ask: {user: me, bot: bot.username, ...chat, ...more}, title: bot.first_name, buttonText})
    .catch(() => {});
}

// --- drawing -------------------------------------------------------------------------------------
function go(key) {
  if (here()) typed.set(shownChat, $("text").value);
  shownChat = key;
  replyTo = editing = null;
  nodes.clear();
  $("messages").replaceChildren();
  $("text").value = typed.get(key) || "";
  draw();
  grow();
  $("scroll").scrollTop = $("scroll").scrollHeight;
  if ($("side").classList.contains("open")) side.show(false);
}
function choose() {
  if (here()) return;
  const c =
    state.chats.find((one) => String(one.id) === wantedChat && one.type !== "private") ||
    state.chats.find((one) => one.type === "private" && (!wantedBot || one.bot === wantedBot)) ||
    state.chats[0];
  if (c) go(c.key);
}
function draw() {
  if (!state) return;
  const people = JSON.stringify(state.people.map((p) => [p.id, p.first_name]));
  if ($("person").dataset.mark !== people) {
    $("person").dataset.mark = people;
    $("person").replaceChildren(
      ...state.people.map((p) => new Option([p.first_name, p.last_name].filter(Boolean).join(" "), p.id)),
    );
  }
  $("person").value = String(me);
  const c = here(),
    bot = botOf(c);
  side.draw(state, c);
  if (!c) {
    $("bot-name").textContent = state.people.length ? "Waiting for a bot" : "Nobody is here";
    $("messages").replaceChildren(
      make(
        "li",
        state.people.length
          ? "Start a bot with this address as its Bot API server. Its chat appears here."
          : "Add a person: POST /sim/users",
        "empty",
      ),
    );
    $("composer").hidden = $("start").hidden = true;
    return;
  }
  document.title = `${c.title} (local simulator)`;
  $("bot-name").textContent = c.title;
  const face = side.avatar(c);
  face.id = "bot-avatar";
  $("bot-avatar").replaceWith(face);
  const members = Object.values(c.members).filter((s) => !["left", "kicked"].includes(s)).length;
  $("bot-state").textContent = c.action
    ? doing[c.action] || c.action
    : c.type === "private"
      ? bot && bot.listens
        ? "bot"
        : "bot, not listening now"
      : `${members} members`;
  $("bot-state").classList.toggle("busy", Boolean(c.action));
  drawMessages(c, bot);
  drawFoot(c, bot);
}
const doing = {typing: "typing…", upload_document: "sending a file…", upload_photo: "sending a photo…"};

function drawMessages(c, bot) {
  const scroll = $("scroll"),
    atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 90;
  const items = [],
    seen = new Set();
  let day = "";
  c.messages.forEach((m, i) => {
    const its = new Date(m.date * 1000).toDateString();
    if (its !== day) {
      day = its;
      items.push(
        keep("day" + its, its, () =>
          make(
            "li",
            its === new Date().toDateString()
              ? "Today"
              : new Date(m.date * 1000).toLocaleDateString([], {day: "numeric", month: "long"}),
            "day",
          ),
        ),
      );
    }
    const before = c.messages[i - 1],
      after = c.messages[i + 1];
    const first = !before || before.from.id !== m.from.id,
      last = !after || after.from.id !== m.from.id;
    items.push(
      keep("m" + m.message_id, JSON.stringify([m, first, last, me, c.topics]), () => messageNode(c, m, first, last)),
    );
  });
  if (c.draft)
    items.push(
      keep("draft", JSON.stringify(c.draft), () => {
        const item = make("li", "", "m draft first last"),
          bubble = make("div", "", "bubble"),
          body = make("div", "", "body");
        body.append(rich(c.draft.text || "Thinking…", c.draft.entities, {link, say}));
        bubble.append(body);
        item.append(bubble);
        return item;
      }),
    );
  if (!c.messages.length && !c.draft)
    items.push(keep("empty", String(bot?.about), () => make("li", bot?.about || "No messages here yet.", "empty")));
  function keep(key, mark, build) {
    seen.add(key);
    const known = nodes.get(key);
    if (known && known.mark === mark) return known.node;
    const node = build();
    nodes.set(key, {mark, node, old: known?.node});
    return node;
  }
  for (const key of nodes.keys()) if (!seen.has(key)) nodes.delete(key);
  place($("messages"), items);
  if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  showDown();
}
// put the nodes in order, moving as little as possible: what has the focus keeps it
function place(list, items) {
  const active = document.activeElement,
    inOld = [...nodes.values()].find((n) => n.old && n.old.contains(active));
  const spot = inOld ? [...inOld.old.querySelectorAll("button")].indexOf(active) : -1;
  items.forEach((item, i) => {
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] || null);
  });
  while (list.children.length > items.length) list.lastElementChild.remove();
  if (inOld) {
    const buttons = inOld.node.querySelectorAll("button");
    (buttons[Math.min(spot, buttons.length - 1)] || $("text")).focus({preventScroll: true});
  }
  for (const n of nodes.values()) delete n.old;
}
const nameOf = (user) => [user.first_name, user.last_name].filter(Boolean).join(" ");

function messageNode(c, m, first, last) {
  const service = serviceText(m);
  if (service) return make("li", service, "service");
  const rows = m.reply_markup?.inline_keyboard;
  const item = make(
    "li",
    "",
    ["m", m.from.id === me ? "me" : "", first ? "first" : "", last ? "last" : "", rows ? "keys" : ""]
      .filter(Boolean)
      .join(" "),
  );
  item.dataset.id = m.message_id;
  const bubble = make("div", "", "bubble");
  if (c.type !== "private" && first && m.from.id !== me) bubble.append(make("div", nameOf(m.from), "sender"));
  if (m.reply_to_message) {
    const quote = make("button", "", "quote");
    quote.type = "button";
    quote.append(make("b", nameOf(m.reply_to_message.from)), make("span", side.preview(m.reply_to_message)));
    quote.onclick = () =>
      document
        .querySelector(`[data-id="${m.reply_to_message.message_id}"]`)
        ?.scrollIntoView({block: "center", behavior: "smooth"});
    bubble.append(quote);
  }
  if (m.photo) {
    const image = make("img", "", "photo"),
      size = m.photo.at(-1);
    image.src = "/sim/file/" + size.file_id;
    image.width = size.width;
    image.height = size.height;
    image.alt = m.caption || "Photo";
    bubble.append(image);
  }
  if (m.document) {
    const file = make("a", "", "file");
    file.href = "/sim/file/" + m.document.file_id;
    file.download = m.document.file_name;
    const icon = make("i", "↓");
    icon.setAttribute("aria-hidden", "true");
    const words = make("span", m.document.file_name);
    words.append(make("small", bytes(m.document.file_size)));
    file.append(icon, words);
    bubble.append(file);
  }
  const body = make("div", "", "body");
  if (m.rich_message) {
    const whole = make("div", "", "blocks");
    if (m.rich_message.is_rtl) whole.dir = "rtl";
    whole.append(blocks(m.rich_message.blocks, {link, press: (button, node) => pressed(m, button, node)}));
    body.append(whole);
  } else body.append(rich(m.text || m.caption || "", m.entities || m.caption_entities, {link, say}));
  const topic = m.is_topic_message && c.topics.find((t) => t.message_thread_id === m.message_thread_id);
  if (topic) bubble.prepend(make("div", "# " + topic.name, "topic"));
  if (m.forward_origin)
    bubble.prepend(make("div", "Forwarded from " + (m.forward_origin.sender_user_name || "somebody"), "topic"));
  const meta = make("span", "", "meta");
  if (m.edit_date) {
    const edited = make("button", "edited");
    edited.type = "button";
    edited.title = "What it said before";
    edited.onclick = () =>
      ask({
        title: "Earlier versions",
        text: m.edits.map((e) => e.text ?? e.caption ?? "(only its buttons)").join("\n\n———\n\n"),
        buttons: [{id: "ok", text: "OK"}],
      });
    meta.append(edited);
  }
  meta.append(make("time", side.clock(m.date)));
  body.append(meta);
  bubble.append(body);
  if (m.reactions.length) {
    const line = make("div", "", "reactions");
    line.append(...m.reactions.map((r) => make("span", r)));
    bubble.append(line);
  }
  bubble.append(tools(m));
  item.append(bubble);
  if (rows) item.append(keyboard(m, rows));
  return item;
}
function bytes(n) {
  return n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(1)} KB` : `${(n / 1048576).toFixed(1)} MB`;
}
function serviceText(m) {
  if (m.new_chat_members) return `${nameOf(m.new_chat_members[0])} joined the group`;
  if (m.left_chat_member) return `${nameOf(m.left_chat_member)} left the group`;
  if (m.forum_topic_created) return `Topic “${m.forum_topic_created.name}” was opened`;
  if (m.migrate_to_chat_id) return "This group became a supergroup; its chat goes on there";
  if (m.migrate_from_chat_id) return "This supergroup was a group before";
  if (m.web_app_data) return `Data from “${m.web_app_data.button_text}” was passed to the bot`;
  return "";
}
function tools(m) {
  const box = make("div", "", "tools");
  const add = (text, label, act) => {
    const b = make("button", text);
    b.type = "button";
    b.setAttribute("aria-label", label);
    b.title = label;
    b.onclick = act;
    box.append(b);
  };
  add("↩", "Reply", () => {
    replyTo = m.message_id;
    editing = null;
    drawFoot(here(), botOf(here()));
    $("text").focus();
  });
  add("👍", "React with a thumb up", () => post("react", {user: me, message: m.message_id, emoji: "👍", ...where()}));
  add("🗑", "Delete", () => post("delete", {user: me, message: m.message_id, ...where()}));
  if (m.from.id === me && m.text)
    add("✎", "Edit", () => {
      editing = m.message_id;
      replyTo = null;
      $("text").value = m.text;
      drawFoot(here(), botOf(here()));
      grow();
      $("text").focus();
    });
  return box;
}

function keyboard(m, rows) {
  const box = make("div", "", "grid");
  for (const row of rows) {
    const line = make("div");
    for (const button of row) {
      const b = make(
        "button",
        button.text,
        [
          button.style,
          button.url ? "link" : "",
          button.web_app ? "web" : "",
          button.copy_text ? "copy" : "",
          waiting.has(m.message_id + button.text) ? "waiting" : "",
        ]
          .filter(Boolean)
          .join(" "),
      );
      b.type = "button";
      b.disabled = Boolean(button.disabled);
      b.onclick = () => pressed(m, button, b);
      line.append(b);
    }
    box.append(line);
  }
  return box;
}
async function pressed(m, button, node) {
  if (button.callback_data) {
    node.classList.add("waiting");
    setTimeout(() => node.classList.remove("waiting"), 15000);
    const pressedQuery = await post("press", {
      user: me,
      message: m.message_id,
      button: button.callback_data,
      ...where(),
    }).catch(() => null);
    if (pressedQuery) node.dataset.query = pressedQuery.id;
    else node.classList.remove("waiting");
    return;
  }
  const bot = state.bots.find((b) => b.id === m.from.id);
  if (button.web_app) return openApp(bot, {url: button.web_app.url, how: "inline"});
  if (button.copy_text) {
    await navigator.clipboard?.writeText(button.copy_text.text).catch(() => {});
    return toast("Copied: " + button.copy_text.text);
  }
  if (button.url && !link(button.url)) {
    const yes =
      /^https?:\/\//i.test(button.url) &&
      (await ask({
        title: "Open this link?",
        text: button.url,
        buttons: [
          {id: "no", text: "Cancel"},
          {id: "open", text: "Open"},
        ],
      }));
    if (yes === "open") window.open(button.url, "_blank", "noreferrer");
  }
}
function drawAnswers() {
  const last = state.answers.at(-1),
    number = last ? last.number : 0;
  if (shownAnswer >= 0 && number > shownAnswer) {
    for (const answer of state.answers.filter((a) => a.number > shownAnswer)) {
      document.querySelector(`[data-query="${answer.queryId}"]`)?.classList.remove("waiting");
      if (answer.url) link(answer.url);
      if (answer.text && answer.alert) ask({text: answer.text, buttons: [{id: "ok", text: "OK"}]});
      else if (answer.text) toast(answer.text);
    }
  }
  shownAnswer = number;
}

// --- below the messages --------------------------------------------------------------------------
function drawFoot(c, bot) {
  const open = c.type !== "private" || (c.started && !c.blocked);
  const opens = open && $("composer").hidden && document.activeElement === $("start");
  $("composer").hidden = !open;
  if (c.migratedTo) $("composer").hidden = true;
  if (opens) $("text").focus({preventScroll: true});
  $("start").hidden = open;
  $("start").textContent = c.blocked ? "UNBLOCK" : "START";
  const menu = bot && c.type === "private" ? bot.menuButton : {type: "default"};
  $("menu").hidden = menu.type !== "web_app";
  if (menu.text) $("menu").textContent = menu.text;
  $("slash").hidden = !(bot && commandsOf(c, bot).length) || Boolean($("text").value);
  const target = c.messages.find((m) => m.message_id === (editing ?? replyTo));
  $("replying").hidden = !target;
  if (target) {
    $("replying-what").textContent = editing ? "Edit" : "Reply to " + nameOf(target.from);
    $("replying-text").textContent = side.preview(target);
  }
  const rows = c.keyboard?.keyboard;
  $("keyboard").hidden = !rows || !open;
  const mark = JSON.stringify(rows);
  if (rows && $("keyboard").dataset.mark !== mark) {
    $("keyboard").dataset.mark = mark;
    $("keyboard").replaceChildren(
      ...rows.map((row) => {
        const line = make("div");
        line.append(
          ...row.map((key) => {
            const text = typeof key === "string" ? key : key.text,
              b = make("button", text, key.style || "");
            b.type = "button";
            b.onclick = () => (key.web_app ? openApp(bot, {url: key.web_app.url, how: "keyboard"}, text) : say(text));
            return b;
          }),
        );
        return line;
      }),
    );
  }
}
const commandsOf = (c, bot) => (c.type === "private" ? bot.commands : bot.groupCommands) || [];
function showCommands(list) {
  $("commands").hidden = !list.length;
  $("commands").replaceChildren(
    ...list.map((one) => {
      const b = make("button");
      b.type = "button";
      b.append(make("b", "/" + one.command), make("span", one.description));
      b.onclick = () => {
        showCommands([]);
        $("text").value = "";
        grow();
        say("/" + one.command);
      };
      return b;
    }),
  );
}
function grow() {
  const t = $("text");
  t.style.height = "auto";
  t.style.height = t.scrollHeight + "px";
}
function showDown() {
  const s = $("scroll");
  $("down").hidden = s.scrollHeight - s.scrollTop - s.clientHeight < 160;
}

$("composer").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  const answered = here().messages.find((m) => m.message_id === replyTo);
  const edited = editing,
    more = replyTo ? {replyTo, ...(answered?.is_topic_message ? {topic: answered.message_thread_id} : {})} : {};
  $("text").value = "";
  replyTo = editing = null;
  showCommands([]);
  grow();
  $("scroll").scrollTop = $("scroll").scrollHeight;
  await (edited ? post("edit", {user: me, message: edited, text, ...where()}) : say(text, more)).catch(() => {
    $("text").value = text;
    grow();
  });
};
$("text").addEventListener("input", () => {
  grow();
  const c = here(),
    bot = botOf(c),
    value = $("text").value;
  showCommands(
    bot && /^\/\w*$/.test(value) ? commandsOf(c, bot).filter((one) => ("/" + one.command).startsWith(value)) : [],
  );
  if (c) drawFoot(c, bot);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
  if (event.key === "ArrowDown" && !$("commands").hidden) {
    event.preventDefault();
    $("commands").querySelector("button")?.focus();
  }
});
$("commands").addEventListener("keydown", (event) => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (!step) return;
  event.preventDefault();
  const all = [...$("commands").children],
    next = all[all.indexOf(document.activeElement) + step];
  (next || $("text")).focus();
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || $("dialog").open) return;
  if (!$("commands").hidden) {
    showCommands([]);
    $("text").focus();
  } else if (replyTo || editing) stopReply();
  else if ($("side").classList.contains("open")) side.show(false);
});
function stopReply() {
  if (editing) $("text").value = "";
  replyTo = editing = null;
  drawFoot(here(), botOf(here()));
  grow();
  $("text").focus();
}
$("replying-stop").onclick = stopReply;
$("slash").onclick = () => {
  const c = here();
  showCommands($("commands").hidden ? commandsOf(c, botOf(c)) : []);
  $("commands").querySelector("button")?.focus();
};
$("start").onclick = async () => {
  const c = here();
  if (c.blocked) return post("block", {user: me, bot: c.bot, blocked: false});
  await say("/start");
};
$("menu").onclick = () => {
  const bot = botOf(here());
  openApp(bot, {how: "menu", url: bot.menuButton.web_app.url});
};
$("attach").onclick = () => $("file").click();
$("file").onchange = async () => {
  const [file] = $("file").files;
  if (!file) return;
  const data = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let i = 0; i < data.length; i += 32768) text += String.fromCharCode(...data.subarray(i, i + 32768));
  $("file").value = "";
  await post("document", {user: me, name: file.name, base64: btoa(text), ...where()});
};
$("scroll").addEventListener("scroll", showDown, {passive: true});
$("down").onclick = () => {
  $("scroll").scrollTo({top: $("scroll").scrollHeight, behavior: "smooth"});
};
$("person").onchange = () => {
  me = Number($("person").value);
  shownChat = "";
  shownAnswer = -1;
  nodes.clear();
  listen();
};

// --- live ----------------------------------------------------------------------------------------
function listen() {
  source?.close();
  source = new EventSource("/sim/events" + (me ? "?user=" + me : ""));
  source.onmessage = (event) => {
    state = JSON.parse(event.data);
    if (!me) me = state.me;
    choose();
    draw();
    drawAnswers();
  };
  source.onerror = () => {
    $("bot-state").textContent = "the simulator does not answer";
  };
}
const host = {
  post,
  theme,
  ask,
  toast,
  link,
  go,
  redraw: draw,
  block: () => {
    const c = here();
    return post("block", {user: me, bot: c.bot, blocked: !c.blocked});
  },
};
app.setUp(host);
side.setUp(host);
applyTheme();
listen();
