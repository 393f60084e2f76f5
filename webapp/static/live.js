// Live events as a fetch stream, so that the bearer stays out of addresses; resumed after the last event seen.
import {credentials, headers, session} from "./api.js";
import {$, page, say} from "./page.js";
import {refresh} from "./pages.js";

// Says whether the line of events is up.
export function live(on) {
  page.lineUp = on;
  $("live").textContent = say(on ? "live" : "offline");
  $("live").className = on ? "live on" : "live";
}

export function stop() {
  page.line?.abort();
  page.line = null;
  page.lastEvent = "";
}

export async function hear() {
  stop();
  const mine = (page.line = new AbortController());
  let pause = 500;
  let was = false;
  while (page.line === mine && session.open) {
    try {
      const since = page.lastEvent ? {"Last-Event-ID": page.lastEvent} : {};
      const answer = await fetch("/api/events", {headers: headers(since), credentials, signal: mine.signal});
      if (!answer.ok) throw new Error(String(answer.status));
      live(true);
      pause = 500;
      if (was) refresh();
      was = true;
      await read(answer.body);
    } catch {
      /* tried again below */
    }
    if (page.line !== mine) return;
    live(false);
    await wait(pause, mine.signal);
    pause = Math.min(15000, pause * 2);
  }
}

function wait(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms * (0.8 + Math.random() * 0.4));
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

async function read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const field = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) field[line.slice(0, colon)] = line.slice(colon + 2);
      }
      if (field.id) page.lastEvent = field.id;
      if (field.event && field.event !== "ping") heard(field.event, JSON.parse(field.data || "{}"));
    }
  }
}

// An event about what is drawn here has it drawn again, with those that follow at once.
function heard(kind, data) {
  page.happened += 1;
  const {live: kinds, ref} = page.mark?.dataset || {live: ""};
  if (!kinds.split(" ").includes(kind.split(".")[0])) return;
  if (ref && data.ref !== ref && data.taskId !== ref) return;
  clearTimeout(heard.timer);
  heard.timer = setTimeout(refresh, 150);
}
