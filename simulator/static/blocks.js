// Rich messages as DOM nodes: never as markup, so nothing in them can run here.
const make = (tag, name) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  return node;
};
const TAGS = {
  bold: "b",
  italic: "i",
  underline: "u",
  strikethrough: "s",
  code: "code",
  subscript: "sub",
  superscript: "sup",
  marked: "mark",
};

// a rich text: words, a list of texts, or formatting around one
export function richText(text, act) {
  const out = document.createDocumentFragment();
  if (typeof text === "string") out.append(text);
  else if (Array.isArray(text)) out.append(...text.map((one) => richText(one, act)));
  else if (text) {
    const url = text.type === "url" && /^https?:\/\//i.test(text.url);
    const node = text.type === "button" ? button(text.button, act) : make(url ? "a" : TAGS[text.type] || "span");
    if (url) {
      node.href = text.url;
      node.target = "_blank";
      node.rel = "noreferrer noopener";
      node.addEventListener("click", (event) => {
        if (act.link(text.url)) event.preventDefault();
      });
    }
    if (text.type !== "button") node.append(richText(text.text ?? text.expression ?? text.alternative_text ?? "", act));
    out.append(node);
  }
  return out;
}

function button(one, act) {
  const node = make("button", ["inline", one.style || ""].join(" ").trim());
  node.type = "button";
  node.disabled = Boolean(one.disabled);
  node.append(richText(one.text, act));
  node.addEventListener("click", () => act.press(one, node));
  return node;
}

export function blocks(list, act) {
  const out = document.createDocumentFragment();
  out.append(...(list || []).map((one) => block(one, act)));
  return out;
}

function block(one, act) {
  const filled = (tag, text, name) => {
    const node = make(tag, name);
    node.append(richText(text, act));
    return node;
  };
  const around = (tag) => {
    const node = make(tag);
    node.append(blocks(one.blocks, act));
    return node;
  };
  switch (one.type) {
    case "heading": {
      const node = filled("div", one.text, "heading");
      node.setAttribute("role", "heading");
      node.setAttribute("aria-level", String(Math.min(6, one.size + 2)));
      return node;
    }
    case "pre":
      return filled("pre", one.text);
    case "divider":
      return make("hr");
    case "mathematical_expression":
      return filled("code", one.expression);
    case "blockquote":
      return around("blockquote");
    case "pullquote":
    case "expandable_blockquote":
      return filled("blockquote", one.text);
    case "collage":
    case "slideshow":
      return around("div");
    case "buttons": {
      const node = make("div", "buttons");
      node.append(...one.buttons.map((b) => button(b, act)));
      return node;
    }
    case "details": {
      const node = around("details");
      node.open = Boolean(one.is_open);
      node.prepend(filled("summary", one.summary));
      return node;
    }
    case "list": {
      const node = make("ul");
      node.append(
        ...one.items.map((item) => {
          const line = make("li");
          line.append(make("span", "label"), blocks(item.blocks, act));
          line.firstChild.textContent = item.has_checkbox ? (item.is_checked ? "☑" : "☐") : item.label;
          return line;
        }),
      );
      return node;
    }
    case "table": {
      const node = make("table");
      for (const row of one.cells) {
        const line = node.insertRow();
        for (const cell of row) {
          const box = filled(cell.is_header ? "th" : "td", cell.text ?? "");
          box.colSpan = cell.colspan || 1;
          box.rowSpan = cell.rowspan || 1;
          line.append(box);
        }
      }
      return node;
    }
    case "map":
    case "photo":
    case "video":
    case "audio":
    case "document":
    case "animation":
    case "voice_note":
      return filled("p", `[${one.type.replace("_", " ")}]`);
    default:
      return filled("p", one.text ?? "");
  }
}

// the words of a rich message in one line
export function words(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(words).join(" ");
  if (!value) return "";
  return ["summary", "text", "blocks", "items", "cells", "expression"]
    .map((name) => words(value[name]))
    .filter(Boolean)
    .join(" ");
}
