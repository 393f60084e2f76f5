// Shows what became of checking a receipt: here where the browser has the means, by the server where it has not.
import {api, call} from "./api.js";
import {$, make, parse, say} from "./page.js";
import {verifyReceipt} from "./verify.js";

const line = (className, textContent) => make("li", {className, textContent});

export async function prove(id) {
  const list = $("checks");
  try {
    list.replaceChildren(...(await checked(id)));
  } catch (error) {
    list.replaceChildren(line("bad", error.message));
  }
}
async function checked(id) {
  const [data, keys] = await Promise.all([
    api("GET", `/api/governance/receipts/${id}`),
    api("GET", "/api/governance/keys"),
  ]);
  const checks = globalThis.crypto?.subtle ? await verifyReceipt(data, keys) : [];
  if (!checks.length || checks.some((check) => check.ok === null)) {
    // the page says that it was the server
    const answer = await call("GET", `/app/parts/receipt-check/${encodeURIComponent(id)}`);
    if (!answer.ok) throw new Error(say("failed-request"));
    return parse(await answer.text()).body.children;
  }
  const good = checks.every((check) => check.ok);
  return [
    ...checks.map((check) => line(check.ok ? "good" : "bad", say(check.name))),
    good ? line("hint", say("checked-here", {size: data.checkpoint.size})) : line("bad", say("check-bad")),
  ];
}
