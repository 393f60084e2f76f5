// The Mini App begins here.
import "./actions.js";
import {bridge} from "./bridge.js";
import {trouble} from "./pages.js";
import {boot} from "./session.js";

boot()
  .catch((error) => trouble(error.message))
  .finally(() => requestAnimationFrame(() => bridge.ready()));
