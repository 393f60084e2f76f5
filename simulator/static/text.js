// Text with entities as DOM nodes: never as markup, so nothing a bot sends can run here.
// Offsets count UTF-16 units, as strings do here.
const TAGS = {
  bold: "b",
  italic: "i",
  underline: "u",
  strikethrough: "s",
  code: "code",
  pre: "pre",
  blockquote: "blockquote",
  expandable_blockquote: "blockquote",
};

export function rich(text, entities, act) {
  const list = [...(entities || [])].sort((a, b) => a.offset - b.offset || b.length - a.length);
  const build = (from, to, inside) => {
    const out = document.createDocumentFragment();
    let at = from;
    for (let i = 0; i < inside.length;) {
      const entity = inside[i++];
      const start = Math.max(entity.offset, at),
        end = Math.min(to, entity.offset + entity.length);
      if (end <= start) continue;
      if (start > at) out.append(text.slice(at, start));
      const nested = [];
      while (i < inside.length && inside[i].offset < end) nested.push(inside[i++]);
      const node = element(entity, text.slice(start, end), act);
      node.append(build(start, end, nested));
      out.append(node);
      at = end;
      // a block ends its line by itself
      if (["PRE", "BLOCKQUOTE"].includes(node.tagName) && text[at] === "\n" && at < to) at += 1;
    }
    if (at < to) out.append(text.slice(at, to));
    return out;
  };
  return build(0, text.length, list);
}

function element(entity, inner, act) {
  if (entity.type === "text_link" || entity.type === "url") {
    const link = document.createElement("a"),
      url = entity.url || inner;
    if (/^https?:\/\//i.test(url)) {
      link.href = url;
      link.target = "_blank";
      link.rel = "noreferrer noopener";
      link.addEventListener("click", (event) => {
        if (act.link(url)) event.preventDefault();
      });
    }
    return link;
  }
  if (entity.type === "bot_command") {
    const link = document.createElement("a");
    link.href = "#";
    link.setAttribute("role", "link");
    link.addEventListener("click", (event) => {
      event.preventDefault();
      act.say(inner);
    });
    return link;
  }
  if (entity.type === "spoiler") {
    const cover = document.createElement("button");
    cover.type = "button";
    cover.className = "spoiler";
    cover.setAttribute("aria-label", "Hidden text");
    cover.addEventListener("click", () => {
      cover.classList.add("seen");
      cover.removeAttribute("aria-label");
    });
    return cover;
  }
  if (entity.type === "date_time" && entity.unix_time) {
    const when = document.createElement("time");
    when.title = new Date(entity.unix_time * 1000).toLocaleString();
    return when;
  }
  if (entity.type === "mention" || entity.type === "hashtag" || entity.type === "text_mention") {
    const span = document.createElement("span");
    span.style.color = "var(--accent)";
    return span;
  }
  return document.createElement(TAGS[entity.type] || "span");
}
