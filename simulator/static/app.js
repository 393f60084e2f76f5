// The host side of the Mini App bridge, as web clients do it: JSON {eventType, eventData} by postMessage, both ways.
const $ = (id) => document.getElementById(id);
const blank = {top: 0, bottom: 0, left: 0, right: 0};
let host = null,
  origin = "",
  themes = {},
  launch = null,
  confirmClose = false;

export const isOpen = () => !$("app").hidden;

function send(type, data) {
  if (origin) $("frame").contentWindow?.postMessage(JSON.stringify({eventType: type, eventData: data ?? null}), origin);
}
function viewport() {
  const frame = $("frame");
  send("viewport_changed", {
    width: frame.clientWidth,
    height: frame.clientHeight,
    is_expanded: true,
    is_state_stable: true,
  });
}
export function sendTheme() {
  if (isOpen()) send("theme_changed", {theme_params: themes[host.theme()]});
}

function clean() {
  for (const id of ["main-button", "second-button", "app-back", "app-settings", "bottom"]) $(id).hidden = true;
  confirmClose = false;
  $("app-bar").style.background = $("app-bar").style.color = $("bottom").style.background = "";
}

export async function open(given) {
  launch = given;
  const opened = await host.post("open", {...given.ask, theme: host.theme()});
  themes = opened.themes;
  origin = new URL(opened.url).origin;
  clean();
  $("app-title").textContent = given.title;
  $("app").hidden = false;
  $("frame").src = "about:blank";
  // only the fragment differs between two launches of one page: a fresh frame makes it load again
  requestAnimationFrame(() => {
    $("frame").src = opened.url;
  });
  $("app-close").focus({preventScroll: true});
}
export function shut() {
  $("app").hidden = true;
  origin = "";
  $("frame").src = "about:blank";
  $("text").focus({preventScroll: true});
}
async function askToClose() {
  if (confirmClose) {
    const answer = await host.ask({
      title: "Close the Mini App?",
      text: "Changes that you made may not be saved.",
      buttons: [
        {id: "stay", text: "Cancel"},
        {id: "close", text: "Close anyway", type: "destructive"},
      ],
    });
    if (answer !== "close") return;
  }
  shut();
}

function color(value) {
  return /^#[0-9a-f]{6}$/i.test(value || "") ? value : "";
}
function bottomButton(id, d) {
  const button = $(id);
  button.hidden = !d.is_visible;
  if (d.text) button.textContent = d.text;
  button.disabled = d.is_active === false;
  button.classList.toggle("busy", Boolean(d.is_progress_visible));
  button.style.background = color(d.color);
  button.style.color = color(d.text_color);
  if (d.position) {
    $("bottom").classList.toggle("stack", d.position === "top" || d.position === "bottom");
    button.style.order = d.position === "left" || d.position === "top" ? -1 : 1;
  }
  $("bottom").hidden = $("main-button").hidden && $("second-button").hidden;
  viewport();
}
const buttonTexts = {ok: "OK", close: "Close", cancel: "Cancel"};

const events = {
  web_app_ready() {},
  web_app_expand: viewport,
  iframe_ready() {
    send("set_custom_style", "");
  },
  iframe_will_reload() {},
  web_app_close() {
    shut();
  },
  web_app_request_theme() {
    send("theme_changed", {theme_params: themes[host.theme()]});
  },
  web_app_request_viewport: viewport,
  web_app_request_safe_area() {
    send("safe_area_changed", blank);
  },
  web_app_request_content_safe_area() {
    send("content_safe_area_changed", blank);
  },
  web_app_setup_main_button(d) {
    bottomButton("main-button", d);
  },
  web_app_setup_secondary_button(d) {
    bottomButton("second-button", {position: "left", ...d});
  },
  web_app_setup_back_button(d) {
    $("app-back").hidden = !d.is_visible;
  },
  web_app_setup_settings_button(d) {
    $("app-settings").hidden = !d.is_visible;
  },
  web_app_setup_closing_behavior(d) {
    confirmClose = Boolean(d.need_confirmation);
  },
  web_app_setup_swipe_behavior() {},
  web_app_set_header_color(d) {
    const found = color(d.color) || (themes[host.theme()] || {})[d.color_key] || "";
    $("app-bar").style.background = found;
    if (found) {
      const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(found.slice(i, i + 2), 16));
      $("app-bar").style.color = 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#0f1620" : "#fff";
    }
  },
  web_app_set_background_color() {},
  web_app_set_bottom_bar_color(d) {
    $("bottom").style.background = color(d.color);
  },
  web_app_open_link(d) {
    if (/^https?:\/\//i.test(d.url || "")) window.open(d.url, "_blank", "noreferrer");
  },
  web_app_open_tg_link(d) {
    host.link("https://t.me" + String(d.path_full || ""));
  },
  async web_app_open_popup(d) {
    const buttons = (d.buttons || [])
      .slice(0, 3)
      .map((b) => ({id: b.id ?? "", text: b.text || buttonTexts[b.type] || "OK", type: b.type}));
    const answer = await host.ask({
      title: d.title,
      text: d.message,
      buttons: buttons.length ? buttons : [{id: "", text: "Close"}],
    });
    send("popup_closed", answer === null ? {} : {button_id: answer});
  },
  web_app_trigger_haptic_feedback(d) {
    const frame = $("frame").parentElement;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const far = d.type === "notification" ? 4 : 2;
    frame.animate(
      [
        {transform: "none"},
        {transform: `translateX(${far}px)`},
        {transform: `translateX(-${far}px)`},
        {transform: "none"},
      ],
      {duration: 130},
    );
  },
  web_app_data_send(d) {
    if (launch?.ask.how !== "keyboard")
      return host.toast("Only an app opened from a keyboard button may send data to the chat");
    host.post("web-app-data", {
      user: launch.ask.user,
      bot: launch.ask.bot,
      data: String(d.data),
      buttonText: launch.buttonText,
    });
    shut();
  },
  web_app_request_write_access() {
    send("write_access_requested", {status: "allowed"});
  },
  web_app_request_phone() {
    send("phone_requested", {status: "cancelled"});
  },
  web_app_request_fullscreen() {
    send("fullscreen_failed", {error: "UNSUPPORTED"});
  },
  web_app_read_text_from_clipboard(d) {
    send("clipboard_text_received", {req_id: d.req_id});
  },
  web_app_biometry_get_info() {
    send("biometry_info_received", {available: false});
  },
  web_app_invoke_custom_method(d) {
    send("custom_method_invoked", {req_id: d.req_id, error: "UNSUPPORTED"});
  },
  web_app_device_storage_get_key(d) {
    send("device_storage_failed", {req_id: d.req_id, error: "UNSUPPORTED"});
  },
  web_app_device_storage_save_key(d) {
    send("device_storage_failed", {req_id: d.req_id, error: "UNSUPPORTED"});
  },
  web_app_secure_storage_get_key(d) {
    send("secure_storage_failed", {req_id: d.req_id, error: "UNSUPPORTED"});
  },
  web_app_secure_storage_save_key(d) {
    send("secure_storage_failed", {req_id: d.req_id, error: "UNSUPPORTED"});
  },
};

export function setUp(given) {
  host = given;
  addEventListener("message", (event) => {
    // Mini Apps are protected by origin: only the page that was launched is listened to
    if (event.source !== $("frame").contentWindow || event.origin !== origin) return;
    let message;
    try {
      message = typeof event.data === "string" ? JSON.parse(event.data) : event.data;
    } catch {
      return;
    }
    if (message && Object.hasOwn(events, message.eventType)) events[message.eventType](message.eventData || {});
  });
  $("main-button").onclick = () => send("main_button_pressed");
  $("second-button").onclick = () => send("secondary_button_pressed");
  $("app-back").onclick = () => send("back_button_pressed");
  $("app-settings").onclick = () => send("settings_button_pressed");
  $("app-close").onclick = askToClose;
  $("app-reload").onclick = () => {
    if (launch) open(launch);
  };
  new ResizeObserver(() => {
    if (isOpen()) viewport();
  }).observe($("frame"));
}
