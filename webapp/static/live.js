// Live events as a fetch stream, so that the bearer stays out of addresses; resumed after the last event seen.
import {credentials, headers, session} from "./api.js";

let current = null,
  last = "";

export function stop() {
  if (current) current.abort();
  current = null;
  last = "";
}

// `heard(kind, data)` for every event, `state(on)` when the line goes up or down, `back()` after it was down.
export async function listen({heard, state, back}) {
  stop();
  const mine = (current = new AbortController());
  let pause = 500,
    was = false;
  while (current === mine && session.open) {
    try {
      const answer = await fetch("/api/events", {
        headers: headers(last ? {"Last-Event-ID": last} : {}),
        credentials,
        signal: mine.signal,
      });
      if (!answer.ok) throw new Error(String(answer.status));
      state(true);
      pause = 500;
      if (was) back();
      was = true;
      await read(answer.body, heard);
    } catch {
      /* tried again below */
    }
    if (current !== mine) return;
    state(false);
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

async function read(body, heard) {
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
      if (field.id) last = field.id;
      if (field.event && field.event !== "ping") heard(field.event, JSON.parse(field.data || "{}"));
    }
  }
}
