// Glyphs of states (14 px, drawn by hand: shape carries the state, colour only helps) and icons.
import { html } from "../vendor/htm-preact.js";

// Other words take the tone and glyph of a state.
const TONE = {
  pending: "queued", starting: "queued", progressing: "running", cancelled: "skipped", stopped: "skipped",
  stopping: "draining", unready: "degraded", lost: "failed", current: "ready", canary: "running", asleep: "waiting",
};
export const tone = (state) => TONE[state] || state || "waiting";

const ring = html`<circle cx="7" cy="7" r="5.4" fill="none" stroke="currentColor" stroke-width="1.4" />`;
const hole = "var(--surface)";
const SHAPES = {
  waiting: html`<circle cx="7" cy="7" r="5.4" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2.1 1.67" />`,
  queued: html`<g>${ring}<path d="M7 4v3.2l2.1 1.4" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" /></g>`,
  succeeded: html`<path d="M2.4 7.6l3 3L11.6 3.8" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round" />`,
  ready: html`<g><circle cx="7" cy="7" r="6.2" fill="currentColor" /><path d="M4.3 7.300l1.9 1.9 3.6-4" fill="none" stroke=${hole} stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" /></g>`,
  failed: html`<g><path d="M4.4.8h5.200l3.6 3.600v5.200l-3.6 3.600H4.400L.8 9.600V4.400z" fill="currentColor" /><path d="M4.8 4.800l4.4 4.400m0-4.400L4.8 9.2" stroke=${hole} stroke-width="1.6" stroke-linecap="round" /></g>`,
  skipped: html`<g>${ring}<path d="M3.4 10.600l7.2-7.2" stroke="currentColor" stroke-width="1.4" /></g>`,
  draining: html`<path d="M7 1.500v7m-2.8-2.600L7 8.700l2.8-2.800M2 10.800v1.700h10v-1.7" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" />`,
  degraded: html`<g><path d="M7 .9l6.6 11.900H.4z" fill="currentColor" stroke="currentColor" stroke-width=".8" stroke-linejoin="round" /><path d="M7 5v3.600m0 1.600v.7" stroke=${hole} stroke-width="1.5" stroke-linecap="round" /></g>`,
  stopped: html`<rect x="2.2" y="2.2" width="9.6" height="9.6" rx="1.5" fill="none" stroke="currentColor" stroke-width="1.5" />`,
};
const running = (turns) => html`<g class=${turns ? "turning" : ""}><circle cx="7" cy="7" r="5.4" fill="none" stroke="currentColor" stroke-opacity=".28" stroke-width="1.7" /><path d="M7 1.600A5.4 5.4 0 0 1 12.4 7" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round" /><circle cx="7" cy="7" r="1.9" fill="currentColor" /></g>`;

// At most 40 turn at once; more than that stand still.
let turning = 0;
export const beginFrame = () => { turning = 0; };

export function Glyph({ state, size = 14 }) {
  const kind = tone(state);
  const square = state === "cancelled" || state === "stopped" || state === "kept";
  const shape = square ? SHAPES.stopped : kind === "running" ? running(++turning <= 40) : SHAPES[kind] || SHAPES.waiting;
  return html`<svg class=${`glyph s-${kind}`} width=${size} height=${size} viewBox="0 0 14 14" aria-hidden="true">${shape}</svg>`;
}

const stroke = (d, more) => html`<svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${d} />${more}</svg>`;
export const icons = {
  search: stroke("M10.4 10.400L14 14", html`<circle cx="6.8" cy="6.8" r="4.6" />`),
  sun: stroke("M8 1v1.800M8 13.200V15M1 8h1.800M13.2 8H15M3 3l1.3 1.300M11.7 11.700L13 13M3 13l1.3-1.300M11.7 4.300L13 3", html`<circle cx="8" cy="8" r="2.6" />`),
  moon: stroke("M13.5 9.600A6 6 0 1 1 6.4 2.500a4.7 4.7 0 0 0 7.1 7.100z"),
  system: stroke("M2 3h12v8H2zM5.5 13.800h5M8 11v2.8"),
  person: stroke("M3 14c.4-3 2.3-4.4 5-4.400s4.6 1.4 5 4.4", html`<circle cx="8" cy="5.2" r="2.7" />`),
  copy: stroke("M10.5 5.500v-3h-8v8h3", html`<rect x="5.5" y="5.5" width="8" height="8" rx="1.2" />`),
  check: stroke("M3 8.600l3.2 3.200L13 4.6"),
  close: stroke("M3.5 3.500l9 9m0-9l-9 9"),
  right: stroke("M6 3.500L10.5 8 6 12.5"),
  left: stroke("M10 3.500L5.5 8 10 12.5"),
  down: stroke("M4 6l4 4 4-4"),
  again: stroke("M13 8a5 5 0 1 1-1.6-3.700M13 2v3h-3"),
  fit: stroke("M2.5 6V2.500H6M10 2.500h3.500V6M13.5 10v3.500H10M6 13.500H2.500V10"),
  home: stroke("M2.5 7.500L8 3l5.5 4.500V13.500h-3.500v-4h-4v4H2.500z"),
  services: stroke("M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01"),
  workers: stroke("M4 4h8v8H4zM6.5 6.500h3v3h-3zM6 1.500V4M10 1.500V4M6 12v2.500M10 12v2.500M1.5 6H4M1.5 10H4M12 6h2.500M12 10h2.5"),
};
export const mark = html`<svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><path d="M5 9h4M15 3.500h-2.500Q9 3.5 9 7v4q0 3.5 3.5 3.500H15M9 9h6" /><g fill="currentColor" stroke="none"><circle cx="3" cy="9" r="2.5" /><circle cx="15.5" cy="3.5" r="2" /><circle cx="15.5" cy="9" r="2" /><circle cx="15.5" cy="14.5" r="2" /></g></svg>`;
