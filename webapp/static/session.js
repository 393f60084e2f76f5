// Who is here: logging in and out, and going from one workspace to another.
import {api, call, csrf, onLost, session} from "./api.js";
import {bridge} from "./bridge.js";
import {hear, live, stop} from "./live.js";
import {$, main, notice, page, root, say, setUnsaved, speak} from "./page.js";
import {settle, show, trouble} from "./pages.js";
import {submit} from "./sending.js";

const START = {apr: "approvals", task: "tasks", rcpt: "receipts", rec: "receipts"};
const query = new URLSearchParams(location.search);
const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

function into(workspace) {
  session.workspace = workspace;
  if (!bridge.inside) sessionStorage.setItem("workspace", workspace);
}
async function enter(workspace) {
  into(workspace);
  session.open = true;
  await learn();
  $("tabs").hidden = false;
  $("live").hidden = false;
  live(false);
  hear();
  const start = bridge.startParam.match(/^(apr|task|rcpt|rec)_([0-9a-f-]{36})$/);
  const named = start ? `#/${START[start[1]]}/${start[2]}` : "#/home";
  settle(0, location.hash.startsWith("#/") ? location.hash : named);
  await show();
}
// The reader's language, and the workspace.
export async function learn() {
  const answer = await call("GET", "/app/me");
  if (!answer.ok) throw new Error(say("failed-request"));
  const me = await answer.json();
  session.language = me.language;
  root.lang = me.language;
  root.dir = me.dir;
  speak(me.texts);
  for (const link of document.querySelectorAll("[data-tab]"))
    link.querySelector("span").textContent = me.tabs[link.dataset.tab];
}
const placesOf = async () => (await api("GET", "/api/me")).workspaces.map((place) => place.id);
const invitation = (invite, body) => api("POST", `/api/auth/invite/${encodeURIComponent(invite)}`, body);
async function accept(invite) {
  const joined = await invitation(invite, {});
  notice(say("welcome"));
  return joined.workspaceId;
}
// What `work` gives; when it is refused, that is said and `otherwise` stands.
async function tried(work, otherwise) {
  try {
    return await work();
  } catch (error) {
    notice(error.message, true);
    return otherwise;
  }
}
// Outside Telegram the cookie of this answer is the session: the token itself is not kept.
async function loggedIn(data, invite) {
  if (bridge.inside) session.token = data.token;
  let place = data.workspaceId || data.workspace.id;
  if (invite) place = await tried(() => accept(invite), place);
  await enter(place);
  return true;
}
// With an invite somebody new may log in; it waits here while the browser is at the provider.
const withInvite = (body, invite) => (invite ? {...body, invite} : body);
function keptInvite() {
  const kept = sessionStorage.getItem("invite");
  sessionStorage.removeItem("invite");
  return kept;
}

export async function boot() {
  const [, link, sent] = location.hash.match(/^#login=([\w-]+)(?:&invite=([\w-]+))?$/) || [];
  const [, invite] = location.hash.match(/^#invite=([\w-]+)$/) || [];
  if (link || invite || bridge.route !== location.hash.slice(1))
    settle(0, location.pathname + (bridge.route.startsWith("/") ? `#${bridge.route}` : ""));
  if (bridge.inside) return bootInside();
  const kept = query.has("state") ? keptInvite() : invite;
  if (await returned(kept)) return;
  if (link) {
    const proof = withInvite({token: link}, sent);
    if (await tried(async () => loggedIn(await api("POST", "/api/auth/email/link", proof), sent))) return;
  } else if (csrf() && (await resumed(invite))) return;
  login(kept);
}
// Back from the provider of a login, with its code or without.
async function returned(invite) {
  if (!query.has("state")) return false;
  // what the provider added leaves the address, whatever comes of it
  settle(0, location.pathname);
  const given = withInvite({code: query.get("code"), state: query.get("state")}, invite);
  if (given.code !== null)
    return tried(async () => loggedIn(await api("POST", "/api/auth/telegram/browser/return", given), invite));
  notice(say("login-not-given"), true);
  return false;
}
// With the cookie of an earlier visit.
async function resumed(invite) {
  const answer = await call("GET", "/api/me");
  if (!answer.ok) return false;
  const places = (await answer.json()).workspaces.map((place) => place.id);
  const before = sessionStorage.getItem("workspace");
  let place = places.includes(before) ? before : places[0];
  if (invite) place = await tried(() => accept(invite), place);
  if (!place) return false;
  await enter(place);
  return true;
}
async function bootInside() {
  const [, invite] = bridge.startParam.match(/^inv_([\w-]+)$/) || [];
  let answer;
  for (let tries = 0; !answer; tries += 1) {
    try {
      answer = await api("POST", "/api/auth/telegram", withInvite({initData: bridge.initData}, invite));
    } catch (error) {
      // the server may be starting; anything it says against the data is final
      if (tries >= 8 || (error.status !== 503 && error.status !== undefined)) return trouble(error.message);
      await pause(1000);
    }
  }
  session.token = answer.token;
  let place = answer.workspace.id;
  // a link from chat says which of several workspaces it means
  const meant = query.get("in");
  if (meant && meant !== place && (await placesOf()).includes(meant)) place = meant;
  if (invite) {
    session.open = true;
    place = await tried(() => accept(invite), place);
  }
  await enter(place);
}
export function login(invite) {
  stop();
  setUnsaved(false);
  page.mark = null;
  for (const id of ["tabs", "live", "back"]) $(id).hidden = true;
  $("title").textContent = "Pilot";
  main.replaceChildren($("login").content.cloneNode(true));
  const [asking, proving] = main.querySelectorAll("form");
  let email = "";
  asking.onsubmit = (event) =>
    submit(event, async () => {
      email = asking.email.value;
      const sent = await (invite ? invitation(invite, {email}) : api("POST", "/api/auth/email/request", {email}));
      asking.hidden = true;
      proving.hidden = false;
      proving.code.focus();
      const hint = sent.code ? say("code-shown", {code: sent.code}) : say("code-sent", {email: sent.email});
      main.querySelector("[data-hint]").textContent = hint;
    });
  proving.onsubmit = (event) =>
    submit(event, async () => {
      const proof = {email, code: proving.code.value.trim()};
      await loggedIn(await (invite ? invitation(invite, proof) : api("POST", "/api/auth/email/verify", proof)));
    });
  const leave = main.querySelector("[data-leave]");
  if (leave)
    leave.onclick = async () => {
      leave.disabled = true;
      if (invite) sessionStorage.setItem("invite", invite);
      else sessionStorage.removeItem("invite");
      const gone = await tried(async () => (await api("POST", "/api/auth/telegram/browser", {})).url);
      if (gone) location.assign(gone);
      else leave.disabled = false;
    };
  proving.querySelector("[data-other]").onclick = () => login(invite);
}
onLost(() => (bridge.inside ? bootInside() : login()));

export async function switchTo(workspace) {
  into(workspace);
  bridge.haptic("select");
  hear();
  location.hash = "#/home";
  await learn();
}
// After leaving or closing a workspace: into another one, or in again from the start.
export async function left(where) {
  setUnsaved(false);
  if (where !== "elsewhere") return out();
  const places = await placesOf();
  if (places.length) return switchTo(places[0]);
  settle(0, "#/home");
  if (bridge.inside) return bootInside();
  return logout();
}
export async function logout() {
  await api("DELETE", "/api/auth/session");
  out();
}
function out() {
  Object.assign(session, {open: false, token: "", workspace: ""});
  stop();
  history.replaceState({launch: "", depth: 0}, "", location.pathname);
  login();
}
