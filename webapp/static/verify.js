"use strict";
// Checks a receipt in the browser: signature, place in the log, signature of the checkpoint.
window.verifyReceipt = (() => {
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) || [], (h) => parseInt(h, 16));
  const hex = (data) => Array.from(new Uint8Array(data), (b) => b.toString(16).padStart(2, "0")).join("");
  const utf8 = (text) => new TextEncoder().encode(text);
  const join = (...parts) => { const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0)); let at = 0; for (const p of parts) { out.set(p, at); at += p.length; } return out; };
  const sha = async (data) => new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const from64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  // RFC 8785 for the closed shape of receipts: strings, safe integers, booleans, objects
  function canonical(v) {
    if (v === null || typeof v === "boolean" || typeof v === "string") return JSON.stringify(v);
    if (typeof v === "number") { if (!Number.isSafeInteger(v)) throw new Error("number"); return String(v); }
    if (Array.isArray(v)) return "[" + v.map(canonical).join(",") + "]";
    return "{" + Object.keys(v).sort().map((k) => JSON.stringify(k) + ":" + canonical(v[k])).join(",") + "}";
  }
  const SIGNED = ["signature_version", "receipt_id", "decision_id", "effect_id", "status", "output_hash", "prev_hash", "lamport_clock", "args_hash", "verdict", "reason_code", "policy_hash", "session_id"];

  async function ed25519(key, signature, message) {
    const imported = await crypto.subtle.importKey("raw", key, {name: "Ed25519"}, false, ["verify"]);
    return crypto.subtle.verify({name: "Ed25519"}, imported, signature, message);
  }
  async function rootOf(leaf, index, size, path) {
    let at = index, last = size - 1, digest = leaf;
    for (const sibling of path) {
      if (last === 0) throw new Error("path too long");
      if (at % 2 === 1 || at === last) {
        digest = await sha(join([1], sibling, digest));
        while (at % 2 === 0 && at !== 0) { at = Math.floor(at / 2); last = Math.floor(last / 2); }
      } else digest = await sha(join([1], digest, sibling));
      at = Math.floor(at / 2); last = Math.floor(last / 2);
    }
    if (last !== 0) throw new Error("path too short");
    return digest;
  }
  return async function (data, keys) {
    const found = [];
    const check = async (name, work) => {
      try { found.push({name, ok: await work()}); } catch (error) { found.push({name, ok: null, why: String(error.message || error)}); }
    };
    const body = data.signedBlob;
    const known = keys.keys.find((k) => k.key_id === body.key_id);
    await check("A key of this installation is named", async () => Boolean(known) && known.public_key === body.public_key_set.ed25519);
    const signed = Object.fromEntries(SIGNED.map((name) => [name, body[name]]));
    await check("The signature fits (Ed25519)", () => ed25519(bytes(known.public_key), bytes(body.signature), utf8(canonical(signed))));
    const leaf = await sha(join([0], utf8(canonical(body))));
    await check("Its hash is the one in the log", async () => hex(leaf) === data.leafHash);
    const lines = data.checkpoint.note.split("\n");
    await check("The log of the checkpoint holds it (RFC 6962)", async () => {
      const root = await rootOf(leaf, data.logIndex, Number(lines[1]), data.auditPath.map(bytes));
      return btoa(String.fromCharCode(...root)) === lines[2];
    });
    await check("The checkpoint is signed", async () => {
      const text = lines.slice(0, 3).join("\n") + "\n";
      for (const line of lines.filter((l) => l.startsWith("— "))) {
        const signature = from64(line.split(" ").at(-1)).slice(4);
        for (const key of keys.keys) if (await ed25519(bytes(key.public_key), signature, utf8(text))) return true;
      }
      return false;
    });
    return found;
  };
})();
