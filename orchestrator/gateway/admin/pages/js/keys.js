// The keyboard: single keys while nobody types; changes have none. Views add their own.
import { ask, isAsking } from "./dialogs.js";
import { closePalette, isPaletteOpen, openPalette } from "./search.js";
import { go } from "./route.js";

const handlers = new Set();
let afterG = 0;

// A view's own keys: the handler returns true for those that it has taken.
export function onKeys(handler) {
  handlers.add(handler);
  return () => handlers.delete(handler);
}

const HELP = [
  "/ search · g h, g s, g w home, services, workers · 1-5 tabs",
  "arrows: in the tree parent, first part, next, previous; Enter opens or closes a group",
  "Esc closes the drawer, then the group · n, N next, previous failure",
  "f follow the log · l go to the log · y copy the path · c critical path",
  "+ − 0 zoom, fit · Ctrl+Enter sends in Try it",
];

export function keyPressed(event) {
  const target = event.target;
  const typing = target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
  if (event.key === "Escape" && isPaletteOpen()) return closePalette();
  if (isAsking() || isPaletteOpen() || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (typing && event.key !== "Escape") return undefined;
  if (event.key === "/") { event.preventDefault(); return openPalette(); }
  if (event.key === "?") return ask({ title: "Keyboard", points: HELP, verb: "Close", act: async () => "" });
  if (Date.now() - afterG < 1000) {
    afterG = 0;
    const to = { h: "", s: "#/services", w: "#/workers" }[event.key];
    if (to != null) return go(to || "#/");
  }
  if (event.key === "g") { afterG = Date.now(); return undefined; }
  for (const handler of [...handlers].reverse()) {
    if (handler(event)) { event.preventDefault(); return undefined; }
  }
  return undefined;
}
