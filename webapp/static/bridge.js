// Telegram's WebView protocol, written from its description: postEvent out, receiveEvent in.
// Outside Telegram `bridge.inside` is false and every call is without effect.

const root = document.documentElement;
const HEX = /^#[0-9a-f]{6}$/i;

// Launch data comes in the fragment, behind the page a button may have named. It must neither stay in
// the address, where it would be copied along, nor get lost on reload: it is kept in the history entry.
const fragment = location.hash.slice(1);
const at = fragment.search(/(^|[?&])tgWebApp\w+=/);
const fresh = at < 0 ? "" : fragment.slice(at).replace(/^[?&]/, "");
const kept = history.state && typeof history.state.launch === "string" ? history.state.launch : "";
const launch = new URLSearchParams(fresh || kept);
const route = (at < 0 ? fragment : fragment.slice(0, at)).replace(/[?&]$/, "");
const initData = launch.get("tgWebAppData") || "";
const inside = initData !== "";

const listeners = new Map();
const on = (event, listener) => listeners.set(event, [...(listeners.get(event) || []), listener]);
const receive = (event, data) => {
  for (const listener of listeners.get(event) || []) listener(data || {});
};

function post(event, data = {}) {
  if (!inside) return;
  const native = window.TelegramWebviewProxy;
  if (native) native.postEvent(event, JSON.stringify(data));
  else if (window.external && "notify" in window.external)
    window.external.notify(JSON.stringify({eventType: event, eventData: data}));
  // frame-ancestors decides who the parent can be; nothing secret is ever posted
  else if (window.parent !== window)
    window.parent.postMessage(JSON.stringify({eventType: event, eventData: data}), "*");
}

// Telegram's clients call one of these three
const view = {receiveEvent: receive};
window.Telegram = Object.assign(window.Telegram || {}, {WebView: view});
window.TelegramGameProxy = view;
window.TelegramGameProxy_receiveEvent = receive;
addEventListener("message", (event) => {
  if (event.source !== window.parent || window.parent === window) return;
  let message;
  try {
    message = typeof event.data === "string" ? JSON.parse(event.data) : event.data;
  } catch {
    return;
  }
  if (message && typeof message.eventType === "string") receive(message.eventType, message.eventData);
});

// --- how Telegram looks here -----------------------------------------------------------------------
let theme = {};
function setTheme(params) {
  theme = {};
  for (const [name, value] of Object.entries(params || {})) {
    if (!HEX.test(value)) continue;
    theme[name] = value;
    root.style.setProperty("--tg-theme-" + name.replaceAll("_", "-"), value);
  }
  if (!theme.bg_color) return;
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(theme.bg_color.slice(i, i + 2), 16));
  root.dataset.scheme = 0.299 * r + 0.587 * g + 0.114 * b < 128 ? "dark" : "light";
  post("web_app_set_header_color", {color_key: "secondary_bg_color"});
  post("web_app_set_background_color", {color: theme.secondary_bg_color || theme.bg_color});
}
function setInsets(prefix, data) {
  for (const side of ["top", "bottom", "left", "right"])
    root.style.setProperty(prefix + side, (Number(data[side]) || 0) + "px");
}
on("theme_changed", (data) => setTheme(data.theme_params));
on("safe_area_changed", (data) => setInsets("--tg-safe-area-inset-", data));
on("content_safe_area_changed", (data) => setInsets("--tg-content-safe-area-inset-", data));
on("viewport_changed", (data) => {
  if (data.height) root.style.setProperty("--tg-viewport-height", data.height + "px");
});
if (inside) {
  root.classList.add("tg");
  try {
    setTheme(JSON.parse(launch.get("tgWebAppThemeParams") || "{}"));
  } catch {
    /* colours only */
  }
  if (/Android/.test(navigator.userAgent) && /; LOW\)/.test(navigator.userAgent)) root.classList.add("slow");
}

// --- what the app asks of Telegram -----------------------------------------------------------------
function button(event, text, extra) {
  post(event, {is_visible: Boolean(text), is_active: true, is_progress_visible: false, text: text || "", ...extra});
}
let answered = null;
on("popup_closed", (data) => {
  if (answered) answered(data.button_id === "yes");
  answered = null;
});

export const bridge = {
  inside,
  initData,
  route,
  on,
  post,
  launch: fresh || kept,
  startParam: new URLSearchParams(initData).get("start_param") || launch.get("tgWebAppStartParam") || "",
  ready() {
    for (const event of [
      "ready",
      "expand",
      "request_theme",
      "request_viewport",
      "request_safe_area",
      "request_content_safe_area",
    ])
      post("web_app_" + event);
  },
  back(visible) {
    post("web_app_setup_back_button", {is_visible: visible});
  },
  approve(text) {
    button("web_app_setup_main_button", text, {
      color: theme.button_color || "#2481cc",
      text_color: theme.button_text_color || "#ffffff",
      has_shine_effect: false,
    });
  },
  deny(text) {
    button("web_app_setup_secondary_button", text, {
      color: theme.bg_color || "#ffffff",
      text_color: theme.destructive_text_color || "#cc2929",
      position: "left",
    });
  },
  busy(working, text, other) {
    button("web_app_setup_main_button", text, {
      is_active: !working,
      is_progress_visible: working,
      color: theme.button_color || "#2481cc",
      text_color: theme.button_text_color || "#ffffff",
    });
    button("web_app_setup_secondary_button", other, {
      is_active: !working,
      color: theme.bg_color || "#ffffff",
      text_color: theme.destructive_text_color || "#cc2929",
      position: "left",
    });
  },
  haptic(kind) {
    post(
      "web_app_trigger_haptic_feedback",
      kind === "select" ? {type: "selection_change"} : {type: "notification", notification_type: kind},
    );
  },
  unsaved(there) {
    post("web_app_setup_closing_behavior", {need_confirmation: there});
    post("web_app_setup_swipe_behavior", {allow_vertical_swipe: !there});
  },
  telegramLink(path) {
    post("web_app_open_tg_link", {path_full: path});
  },
  popup(message, yes, no) {
    post("web_app_open_popup", {
      title: "",
      message: message.slice(0, 256),
      buttons: [
        {id: "yes", type: "destructive", text: yes},
        // a button of type "cancel" would show Telegram's own word
        {id: "no", type: "default", text: no},
      ],
    });
    return new Promise((resolve) => {
      answered = resolve;
    });
  },
};
