// Checks a receipt in the browser: signature, place in the log, signature of the checkpoint.
// Nothing here trusts what the server says about the receipt, only its keys.

const bytes = (hex) => Uint8Array.from(hex.match(/../g) || [], (pair) => Number.parseInt(pair, 16));
const hex = (data) => Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
const utf8 = (text) => new TextEncoder().encode(text);
const from64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
const same = (a, b) => hex(a) === hex(b);
async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
}

const SIGNED = [
  "signature_version",
  "receipt_id",
  "decision_id",
  "effect_id",
  "status",
  "output_hash",
  "prev_hash",
  "lamport_clock",
  "args_hash",
  "verdict",
  "reason_code",
  "policy_hash",
  "session_id",
];

// RFC 8785 for the closed shape of receipts: strings, safe integers, booleans, lists, objects
export function canonical(value) {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Error("not a safe integer");
    return String(value);
  }
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  return (
    "{" +
    Object.keys(value)
      .sort()
      .map((key) => JSON.stringify(key) + ":" + canonical(value[key]))
      .join(",") +
    "}"
  );
}

async function signedBy(key, signature, message) {
  const imported = await crypto.subtle.importKey("raw", key, {name: "Ed25519"}, false, ["verify"]);
  return crypto.subtle.verify({name: "Ed25519"}, imported, signature, message);
}

// RFC 9162, 2.1.3.2: the root that a leaf and its audit path lead to
export async function rootOf(leaf, index, size, path) {
  if (!(index >= 0 && index < size)) throw new Error("outside the tree");
  let place = index,
    last = size - 1,
    digest = leaf;
  for (const sibling of path) {
    if (last === 0) throw new Error("the path is too long");
    if (place % 2 === 1 || place === last) {
      digest = await sha256(Uint8Array.of(1), sibling, digest);
      while (place % 2 === 0) {
        place /= 2;
        last = Math.floor(last / 2);
      }
    } else digest = await sha256(Uint8Array.of(1), digest, sibling);
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error("the path is too short");
  return digest;
}

// [{name, ok}]; ok is null where this browser has no means to check
// Whether a difference is one of a payload, or of the policy kept beside the receipt.
const ofPayload = (one) => one.startsWith("payload.") || one.startsWith("policy");

export async function verifyReceipt(data, keys) {
  const found = [];
  const check = async (name, work) => {
    try {
      found.push({name, ok: Boolean(await work())});
    } catch (error) {
      found.push({name, ok: error instanceof TypeError || error.name === "NotSupportedError" ? null : false});
    }
  };
  const body = data.signedBlob;
  const known = keys.keys.find((key) => key.key_id === body.key_id);
  await check("check-known-key", () => known && known.public_key === body.public_key_set.ed25519);
  const signed = Object.fromEntries(SIGNED.map((name) => [name, body[name]]));
  await check("check-signature", () =>
    known ? signedBy(bytes(known.public_key), bytes(body.signature), utf8(canonical(signed))) : false,
  );
  let leaf = null;
  await check("check-leaf", async () => {
    leaf = await sha256(Uint8Array.of(0), utf8(canonical(body)));
    return hex(leaf) === data.leafHash;
  });
  const lines = data.checkpoint.note.split("\n");
  await check("check-inclusion", async () =>
    same(await rootOf(leaf, data.logIndex, Number(lines[1]), data.auditPath.map(bytes)), from64(lines[2])),
  );
  await check("check-checkpoint", async () => {
    const text = utf8(lines.slice(0, 3).join("\n") + "\n");
    for (const line of lines.filter((one) => one.startsWith("\u2014 "))) {
      // four bytes that name the key, then the signature
      const signature = from64(line.split(" ").at(-1)).slice(4);
      for (const key of keys.keys) if (await signedBy(bytes(key.public_key), signature, text)) return true;
    }
    return false;
  });
  // what the server found, and payloads held against the hashes in the bytes: said only where they do not hold
  const differs = data.receipt.integrity.differs;
  if (differs.some((one) => !ofPayload(one))) found.push({name: "check-columns", ok: false});
  let payloads = !differs.some(ofPayload);
  for (const payload of data.payloads) {
    const wanted = {args: body.args_hash, output: body.output_hash}[payload.kind];
    if (payload.body === null || !wanted) continue;
    const digest = await sha256(bytes(payload.salt || ""), utf8(payload.body));
    if (hex(digest) !== wanted) payloads = false;
  }
  if (!payloads) found.push({name: "check-payloads", ok: false});
  return found;
}
