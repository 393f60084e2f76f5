// Talking to the server. Inside Telegram the bearer lives in this module's memory and nowhere else;
// outside, the browser's HttpOnly cookie does the same work, with a CSRF token beside it.
import {bridge} from "./bridge.js";

export const session = {
  token: "",
  workspace: "",
  language: document.documentElement.lang,
  unreachable: "",
  texts: {},
  open: false,
};
const lost = [];
export const onLost = (listener) => lost.push(listener);

export const csrf = () => (document.cookie.match(/(?:^|; )helm_csrf=([^;]+)/) || [])[1] || "";

export class Refused extends Error {
  constructor(status, data, fallback) {
    const who = data && data.resolvedByName ? ` (${data.resolvedByName})` : "";
    super(((data && (session.texts["error-" + data.code] || data.error)) || fallback) + who);
    this.status = status;
    this.code = (data && data.code) || "";
    this.fields = (data && data.details && data.details.fieldErrors) || {};
  }
}

export function headers(extra = {}) {
  const all = {"X-Pilot-Surface": "mini_app", "Accept-Language": session.language, ...extra};
  if (session.token) all.Authorization = "Bearer " + session.token;
  if (session.workspace) all["X-Workspace-Id"] = session.workspace;
  return all;
}
export const credentials = bridge.inside ? "omit" : "same-origin";

// What the browser says of a broken line is in its own words and language.
async function reach(path, wish) {
  try {
    return await fetch(path, wish);
  } catch (error) {
    throw error.name === "AbortError" ? error : new Error(session.unreachable);
  }
}

export async function call(method, path, body, signal) {
  const extra = body === undefined ? {} : {"Content-Type": "application/json"};
  if (!bridge.inside && method !== "GET" && csrf()) extra["X-CSRF-Token"] = csrf();
  const answer = await reach(path, {
    method,
    headers: headers(extra),
    credentials,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const fresh = answer.headers.get("X-New-Token");
  if (fresh && session.token) session.token = fresh;
  if (answer.status === 401 && session.open) {
    session.open = false;
    session.token = "";
    for (const listener of lost) listener();
  }
  return answer;
}

export async function api(method, path, body) {
  const answer = await call(method, path, body);
  const text = await answer.text();
  let data = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    /* not ours: a proxy's page */
  }
  if (!answer.ok) throw new Refused(answer.status, data, `${answer.status} ${answer.statusText}`);
  return data;
}

export async function download(path, name) {
  const answer = await call("GET", path);
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null), String(answer.status));
  const named = (answer.headers.get("Content-Disposition") || "").match(/filename="([^"]+)"/);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name || (named ? named[1] : "download");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
