"use strict";
// Telegram's WebView protocol, postEvent out and receiveEvent in, written from its description.
// window.bridge is inert outside Telegram: every call is then without effect.
(() => {
  const raw = location.hash.slice(1);
  const at = raw.search(/(^|[?&])tgWebApp\w+=/);
  const head = at < 0 ? raw : raw.slice(0, at);
  const launch = new URLSearchParams(at < 0 ? "" : raw.slice(at).replace(/^[?&]/, ""));
  const listeners = {};
  const inFrame = window.parent !== window;
  const native = window.TelegramWebviewProxy;
  const inside = launch.has("tgWebAppData");

  function post(type, data) {
    if (!inside) return;
    if (native) native.postEvent(type, JSON.stringify(data ?? {}));
    else if (window.external && "notify" in window.external) window.external.notify(JSON.stringify({eventType: type, eventData: data ?? {}}));
    else if (inFrame) window.parent.postMessage(JSON.stringify({eventType: type, eventData: data ?? {}}), "*");
  }
  function receive(type, data) { for (const f of listeners[type] || []) f(data || {}); }
  function on(type, f) { (listeners[type] ||= []).push(f); }

  // Telegram's clients look for one of these names
  const view = {receiveEvent: receive};
  window.Telegram = Object.assign(window.Telegram || {}, {WebView: view});
  window.TelegramGameProxy = view;
  window.TelegramGameProxy_receiveEvent = receive;
  if (inFrame) addEventListener("message", (event) => {
    if (event.source !== window.parent) return;
    let m; try { m = typeof event.data === "string" ? JSON.parse(event.data) : event.data; } catch { return; }
    if (m && typeof m.eventType === "string") receive(m.eventType, m.eventData);
  });

  const root = document.documentElement;
  function theme(params) {
    for (const [name, value] of Object.entries(params || {})) {
      if (/^#[0-9a-f]{6}$/i.test(value)) root.style.setProperty("--tg-theme-" + name.replaceAll("_", "-"), value);
    }
    const bg = (params || {}).bg_color;
    if (/^#[0-9a-f]{6}$/i.test(bg)) {
      const [r, g, b] = [1, 3, 5].map((i) => parseInt(bg.slice(i, i + 2), 16));
      root.style.colorScheme = 0.299 * r + 0.587 * g + 0.114 * b < 128 ? "dark" : "light";
    }
  }
  try { theme(JSON.parse(launch.get("tgWebAppThemeParams") || "{}")); } catch { /* colours only */ }
  on("theme_changed", (d) => theme(d.theme_params));
  for (const [event, prefix] of [["safe_area_changed", "--tg-safe-area-inset-"], ["content_safe_area_changed", "--tg-content-safe-area-inset-"]]) {
    on(event, (d) => { for (const side of ["top", "bottom", "left", "right"]) root.style.setProperty(prefix + side, (Number(d[side]) || 0) + "px"); });
  }
  on("viewport_changed", (d) => { if (d.height) root.style.setProperty("--tg-viewport-height", d.height + "px"); });

  const data = launch.get("tgWebAppData") || "";
  window.bridge = {
    inside, initData: data, startParam: new URLSearchParams(data).get("start_param") || launch.get("tgWebAppStartParam") || "",
    route: head.replace(/[?&]$/, ""), on, post,
    ready() { post("web_app_ready"); post("web_app_expand"); post("web_app_request_theme"); post("web_app_request_viewport"); post("web_app_request_safe_area"); post("web_app_request_content_safe_area"); },
    back(visible) { post("web_app_setup_back_button", {is_visible: visible}); },
    main(text) { post("web_app_setup_main_button", {is_visible: Boolean(text), is_active: true, text: text || "", color: "#37a34a", text_color: "#ffffff"}); },
    second(text) { post("web_app_setup_secondary_button", {is_visible: Boolean(text), is_active: true, text: text || "", color: "#c94f4f", text_color: "#ffffff", position: "left"}); },
    haptic(kind) { post("web_app_trigger_haptic_feedback", {type: "notification", notification_type: kind}); },
    unsaved(on) { post("web_app_setup_closing_behavior", {need_confirmation: on}); },
  };
  // launch data belongs neither into history nor into anything that is copied
  if (inside) history.replaceState(null, "", location.pathname + (window.bridge.route ? "#" + window.bridge.route : ""));
})();
