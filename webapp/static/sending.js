// What every form and button does while it sends, and when it was refused.
import {bridge} from "./bridge.js";
import {clearProblems, showProblemAt, showProblems} from "./forms.js";
import {notice, page, setUnsaved} from "./page.js";
import {catchUp, show} from "./pages.js";

// While the page sends something it does not look by itself: what it shows may be what is going away.
export async function sending(work, refused) {
  page.writing += 1;
  if (page.looking) {
    page.looking.abort();
    page.looking = null;
    page.stale = true;
  }
  try {
    await work();
  } catch (error) {
    await refused(error);
  } finally {
    page.writing -= 1;
    if (!page.writing) catchUp();
  }
}
async function withButton(button, work, refused) {
  if (button) {
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
  }
  try {
    await sending(work, refused);
  } finally {
    if (button) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  }
}
const overtaken = (error) => [404, 409, 410].includes(error.status);
export async function lookAgain(error) {
  notice(error.message, true);
  await show({again: true});
}

export function submit(event, work) {
  event.preventDefault();
  const form = event.target;
  clearProblems(form);
  return withButton(event.submitter || form.querySelector("button:not([type=button])"), work, async (error) => {
    bridge.haptic("error");
    if (!overtaken(error) || !form.closest("[data-approve]")) return showProblems(form, error);
    setUnsaved(false);
    await lookAgain(error);
  });
}
export function press(button, work) {
  return withButton(button, work, async (error) => {
    if (overtaken(error)) return lookAgain(error);
    bridge.haptic("error");
    showProblemAt(button, error.message);
  });
}
