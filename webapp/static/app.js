"use strict";
// The Mini App: logs in, fetches parts of pages, sends what people do to the API, listens to live events.
(() => {
  const $ = (id) => document.getElementById(id);
  const main = $("main");
  let token = "", workspace = "", stream = null, lastEvent = "", watching = [], watchedRef = "", reloadTimer = 0, email = "", unsaved = false;

  // --- talking to the server -----------------------------------------------------------------------
  async function call(method, path, body, extra) {
    const headers = {"X-Pilot-Surface": "mini_app", ...(extra || {})};
    if (token) headers.Authorization = "Bearer " + token;
    if (workspace) headers["X-Workspace-Id"] = workspace;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit"});
    const fresh = answer.headers.get("X-New-Token");
    if (fresh) token = fresh;
    if (answer.status === 401 && token) { token = ""; showLogin(); }
    return answer;
  }
  async function api(method, path, body) {
    const answer = await call(method, path, body);
    const text = await answer.text();
    const data = text ? JSON.parse(text) : null;
    if (!answer.ok) {
      const fields = data && data.details && data.details.fieldErrors ? Object.entries(data.details.fieldErrors).map(([k, v]) => k + ": " + v.join(", ")).join("\n") : "";
      const who = data && data.resolvedByName ? ` (${data.status} by ${data.resolvedByName}, ${data.resolvedVia})` : "";
      throw new Error((fields || (data && data.error) || "That did not work") + who);
    }
    return data;
  }
  function notice(text, bad) {
    const n = $("notice");
    n.textContent = text; n.className = "notice" + (bad ? " bad" : ""); n.hidden = false;
    clearTimeout(notice.timer); notice.timer = setTimeout(() => { n.hidden = true; }, bad ? 8000 : 3000);
    bridge.haptic(bad ? "error" : "success");
  }

  // --- logging in ----------------------------------------------------------------------------------
  function loggedIn(data) {
    token = data.token; workspace = data.workspace ? data.workspace.id : data.workspaceId;
    document.querySelector(".tabs").hidden = false;
    listen();
    const start = bridge.startParam.match(/^(apr|task|rec|rcpt)_([0-9a-f-]{36})$/);
    const pages = {apr: "approvals", task: "tasks", rec: "receipts", rcpt: "receipts"};
    const wanted = bridge.route.startsWith("/") ? "#" + bridge.route : start ? `#/${pages[start[1]]}/${start[2]}` : location.hash.startsWith("#/") ? location.hash : "#/home";
    if (location.hash === wanted) show(); else location.hash = wanted;
  }
  async function login() {
    const link = location.hash.match(/^#login=([\w-]+)$/), invite = location.hash.match(/^#invite=([\w-]+)$/);
    if (link || invite) history.replaceState(null, "", location.pathname);
    try {
      if (bridge.inside) {
        loggedIn(await api("POST", "/api/auth/telegram", {initData: bridge.initData}));
        const hello = bridge.startParam.match(/^inv_([\w-]+)$/);
        if (hello) await accept(hello[1]);
        return;
      }
      if (link) return loggedIn(await api("POST", "/api/auth/email/link", {token: link[1]}));
    } catch (error) { notice(error.message, true); }
    showLogin(invite && invite[1]);
  }
  async function accept(invite) {
    const joined = await api("POST", "/api/auth/invite/" + invite, {});
    workspace = joined.workspaceId; notice("Welcome"); show();
  }
  function showLogin(invite) {
    document.querySelector(".tabs").hidden = true;
    $("title").textContent = "Pilot";
    main.replaceChildren($("login").content.cloneNode(true));
    const [ask, verify] = main.querySelectorAll("form");
    ask.onsubmit = (event) => submit(event, async () => {
      email = ask.email.value;
      const sent = invite ? await api("POST", "/api/auth/invite/" + invite, {email}) : await api("POST", "/api/auth/email/request", {email});
      ask.hidden = true; verify.hidden = false; verify.code.focus();
      notice(sent.code ? "Development: your code is " + sent.code : "A code is on its way to " + sent.email);
    });
    verify.onsubmit = (event) => submit(event, async () => {
      const code = verify.code.value;
      loggedIn(invite ? await api("POST", "/api/auth/invite/" + invite, {email, code}) : await api("POST", "/api/auth/email/verify", {email, code}));
    });
    bridge.ready();
  }

  // --- pages ---------------------------------------------------------------------------------------
  const one = {tasks: "task", approvals: "approval", receipts: "receipt"};
  async function show(quiet) {
    if (!token) return;
    const [path, search] = location.hash.slice(2).split("?");
    const [name, id] = (path || "home").split("/");
    const part = id && one[name] ? one[name] + "/" + encodeURIComponent(id) : name;
    if (!quiet) main.setAttribute("aria-busy", "true");
    let answer;
    try { answer = await call("GET", "/app/parts/" + part + (search ? "?" + search : "")); }
    catch { return live(false); }
    if (answer.status === 401) return;
    const opened = quiet ? [...main.querySelectorAll("details")].map((d) => d.open) : [];
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    main.replaceChildren(...page.body.childNodes);
    opened.forEach((open, i) => { const d = main.querySelectorAll("details")[i]; if (d) d.open = open; });
    main.removeAttribute("aria-busy");
    unsaved = false; bridge.unsaved(false);
    const mark = main.querySelector("[data-title]");
    $("title").textContent = mark ? mark.dataset.title : "Pilot";
    watching = mark && mark.dataset.live ? mark.dataset.live.split(" ") : [];
    watchedRef = mark && mark.dataset.ref || "";
    for (const a of document.querySelectorAll(".tabs a")) a.setAttribute("aria-current", a.hash.split("?")[0] === "#/" + name ? "page" : "false");
    const inner = Boolean(id) || name === "audit";
    $("back").hidden = !inner || bridge.inside; bridge.back(inner);
    const decides = main.querySelector("[data-approve]");
    bridge.main(decides ? "Approve" : ""); bridge.second(decides ? "Deny" : "");
    for (const t of main.querySelectorAll("time")) { const m = new Date(t.dateTime); if (!isNaN(m)) t.textContent = m.toLocaleString([], {dateStyle: "medium", timeStyle: "short"}); }
    if (!quiet) { main.focus({preventScroll: true}); scrollTo(0, 0); }
    const receipt = main.querySelector("[data-receipt]");
    if (receipt) proof(receipt.dataset.receipt);
    if (answer.status === 503) setTimeout(() => show(), 1500);
  }
  async function proof(id) {
    const list = $("checks");
    try {
      const [data, keys] = await Promise.all([api("GET", "/api/governance/receipts/" + id), api("GET", "/api/governance/keys")]);
      const checks = await window.verifyReceipt(data, keys);
      const items = checks.map((c) => {
        const li = document.createElement("li");
        li.className = c.ok ? "good" : c.ok === false ? "bad" : "ask";
        li.textContent = (c.ok ? "✓ " : c.ok === false ? "✗ " : "? ") + c.name + (c.ok === null ? ": this browser cannot check it (" + c.why + ")" : "");
        return li;
      });
      const last = document.createElement("li");
      last.className = "hint";
      last.textContent = checks.every((c) => c.ok) ? `Checked in this browser, against a log of ${data.checkpoint.size} receipts.` : "Not everything could be shown here. The archive's own verify.py checks all of it.";
      list.replaceChildren(...items, last);
    } catch (error) { list.replaceChildren(Object.assign(document.createElement("li"), {className: "bad", textContent: error.message})); }
  }

  // --- what people do ------------------------------------------------------------------------------
  async function submit(event, work) {
    event.preventDefault();
    const button = event.submitter || event.target.querySelector("button");
    if (button) button.disabled = true;
    try { await work(); } catch (error) { notice(error.message, true); } finally { if (button) button.disabled = false; }
  }
  async function press(button, work) {
    button.disabled = true;
    try { await work(); } catch (error) { notice(error.message, true); await show(true); } finally { button.disabled = false; }
  }
  const decide = (d, body) => api("PUT", "/api/audit/approvals/" + d.id, {version: Number(d.version), digest: d.digest, ...body});

  main.addEventListener("click", (event) => {
    const b = event.target.closest("button");
    if (!b) return;
    const d = b.dataset;
    if (d.decide) press(b, async () => { await decide(d, {status: d.decide}); notice(d.decide === "approved" ? "Approved" : "Denied"); await show(true); });
    else if (d.api) {
      if (d.confirm && !confirm(d.confirm)) return;
      const [method, path] = d.api.split(" ");
      press(b, async () => { await api(method, path, d.json ? JSON.parse(d.json) : method === "POST" ? {} : undefined); notice("Done"); await show(true); });
    } else if (d.download) press(b, () => download(d.download));
    else if (d.workspace) { workspace = d.workspace; lastEvent = ""; listen(); location.hash = "#/home"; show(); }
    else if ("logout" in d) press(b, async () => { await api("DELETE", "/api/auth/session"); token = ""; stop(); showLogin(); });
  });
  async function download(path) {
    const answer = await call("GET", path);
    if (!answer.ok) throw new Error("it could not be downloaded");
    const name = (answer.headers.get("Content-Disposition") || "").match(/filename="([^"]+)"/);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name ? name[1] : path.split("/").at(-1).split("?")[0];
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
  function values(form) {
    const out = {};
    for (const el of form.elements) {
      if (!el.name || el.disabled) continue;
      if (el.type === "checkbox") out[el.name] = el.checked;
      else if ("list" in el.dataset) out[el.name] = el.value.split(",").map((s) => s.trim()).filter(Boolean);
      else if ("number" in el.dataset) { if (el.value !== "") out[el.name] = Number(el.value); else if (el.name === "monthlyLlmBudget") out[el.name] = null; }
      else if (el.type !== "email" || el.value) out[el.name] = el.value;
    }
    return out;
  }
  main.addEventListener("submit", (event) => {
    const form = event.target, d = form.dataset;
    if (d.login) return;
    if (d.filter) { event.preventDefault(); location.hash = d.filter + "?" + new URLSearchParams(new FormData(form)); return; }
    submit(event, async () => {
      if (d.form) {
        const [method, path] = d.form.split(" ");
        const given = values(form);
        const answer = await api(method, path, d.section ? {[d.section]: given} : given);
        unsaved = false; bridge.unsaved(false);
        if (d.show) { form.querySelector("output").textContent = answer[d.show]; return notice("Shown this once: copy it now"); }
        if (d.go) { location.hash = d.go + answer.id; return; }
        notice(d.said || "Done");
      } else if (d.reason) {
        await decide({id: d.reason, ...d}, {status: event.submitter.value, note: form.note.value}); notice("Done"); await show(true);
      } else if (d.grant) {
        await decide({id: d.grant, ...d}, {status: "approved", grant: {minutes: Number(form.minutes.value)}}); notice("Approved"); await show(true);
      } else if (d.edit) {
        let input; try { input = JSON.parse(form.input.value); } catch { throw new Error("the arguments are not valid JSON"); }
        await api("PUT", `/api/audit/approvals/${d.edit}/input`, {input, version: Number(d.version)}); notice("Saved: read it again before you approve"); await show();
      }
    });
  });
  main.addEventListener("input", () => { if (!unsaved) { unsaved = true; bridge.unsaved(true); } });
  for (const [event, status] of [["main_button_pressed", "approved"], ["secondary_button_pressed", "rejected"]]) {
    bridge.on(event, async () => {
      const mark = main.querySelector("[data-approve]");
      if (!mark) return;
      try { await decide({id: mark.dataset.approve, ...mark.dataset}, {status}); notice(status === "approved" ? "Approved" : "Denied"); } catch (error) { notice(error.message, true); }
      await show(true);
    });
  }
  const goBack = () => { location.hash = "#/" + (location.hash.slice(2).split("/")[0].replace("audit", "receipts")); };
  bridge.on("back_button_pressed", goBack);
  $("back").onclick = goBack;

  // --- live events: a fetch stream, so that the bearer stays out of addresses -----------------------
  function live(on) { $("live").textContent = on ? "live" : "offline"; $("live").className = "live" + (on ? " on" : ""); }
  function stop() { if (stream) stream.abort(); stream = null; live(false); }
  async function listen() {
    stop();
    const mine = stream = new AbortController();
    let pause = 500;
    while (stream === mine && token) {
      try {
        const headers = {Authorization: "Bearer " + token, "X-Workspace-Id": workspace};
        if (lastEvent) headers["Last-Event-ID"] = lastEvent;
        const answer = await fetch("/api/events", {headers, signal: mine.signal, credentials: "omit"});
        if (!answer.ok) throw new Error(String(answer.status));
        live(true); pause = 500;
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let buffer = "";
        for (;;) {
          const {value, done} = await reader.read();
          if (done) break;
          buffer += value;
          const parts = buffer.split("\n\n"); buffer = parts.pop();
          for (const p of parts) heard(p);
        }
      } catch { /* tried again below */ }
      if (stream !== mine) return;
      live(false);
      await new Promise((r) => setTimeout(r, pause)); pause = Math.min(15000, pause * 2);
      if (lastEvent && token) show(true);
    }
  }
  function heard(text) {
    const field = (name) => (text.match(new RegExp("^" + name + ": (.*)$", "m")) || [])[1];
    const id = field("id"), kind = field("event") || "";
    if (id) lastEvent = id;
    if (!watching.includes(kind.split(".")[0]) || unsaved) return;
    if (watchedRef && !text.includes(watchedRef)) return;
    clearTimeout(reloadTimer); reloadTimer = setTimeout(() => show(true), 150);
  }

  addEventListener("hashchange", () => { if (unsaved && !confirm("Leave without saving?")) { return; } show(); });
  login().finally(() => requestAnimationFrame(() => bridge.ready()));
})();
