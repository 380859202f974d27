// Small parts that many views use: states, bars, times, copying, charts.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { age, clock, fullTime, middle, stateWord } from "./format.js";
import { Glyph, icons, tone } from "./glyphs.js";
import { live } from "./live.js";

export const State = ({ state, word }) => html`<span class="state"><${Glyph} state=${state} /><span class=${`s-${tone(state)}`}>${word || stateWord(state)}</span></span>`;

export const Badge = ({ state, word }) => html`<span class=${`badge s-${tone(state)}`}><${Glyph} state=${state} />${word || stateWord(state)}</span>`;

const ORDER = ["succeeded", "failed", "running", "queued", "skipped", "waiting"];
export function Bar({ counts, thin }) {
  const known = { ...counts, skipped: (counts.skipped || 0) + (counts.cancelled || 0) };
  return html`<span class=${thin ? "bar thin" : "bar"} aria-hidden="true">${ORDER.filter((key) => known[key]).map((key) => html`<i key=${key} class=${`b-${key}`} style=${{ flexGrow: known[key], flexBasis: 0 }}></i>`)}</span>`;
}

// A name is the user's: isolated, whole in its title, shortened in the middle.
export const Name = ({ text, most = 40, strong }) => {
  const shown = html`<bdi dir="auto" title=${text}>${middle(text, most)}</bdi>`;
  return strong ? html`<b class="cut">${shown}</b>` : shown;
};

// "4 min" while live, a clock time while not.
export function Since({ at, before = "", stale = "" }) {
  if (!at) return "–";
  const text = live.stale() ? `${stale}${clock(at, Math.abs(live.now() - at) < 3600)}` : `${before}${age(live.now() - at)}`;
  return html`<span title=${fullTime(at)}>${text}</span>`;
}

export function Copy({ text, label = "Copy", children }) {
  const [done, setDone] = useState(false);
  const copy = async (event) => {
    event.stopPropagation();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    setTimeout(() => setDone(false), 1500);
  };
  if (children) return html`<button class="button small" onClick=${copy}>${done ? icons.check : icons.copy}${children}<span class="hidden-text" role="status">${done ? "Copied" : ""}</span></button>`;
  return html`<button class="icon small" title=${label} aria-label=${label} onClick=${copy}>${done ? icons.check : icons.copy}<span class="hidden-text" role="status">${done ? "Copied" : ""}</span></button>`;
}

export const CodeLine = ({ text, shown }) => html`<div class="codeline"><pre class="well" tabindex="0" aria-label="Command">${shown || text}</pre><${Copy} text=${text} label="Copy the command" /></div>`;

export const Segments = ({ value, options, onChange, label }) => html`<div class="segments" role="group" aria-label=${label}>${options.map(([key, text]) => html`<button key=${key} aria-pressed=${String(value === key)} onClick=${() => onChange(key)}>${text}</button>`)}</div>`;

export function Spark({ values, width = 180, height = 20, color = "var(--ink3)", label, flat }) {
  const known = values.map((v) => (v == null ? 0 : v));
  const most = Math.max(...known, 1e-9);
  const least = Math.min(...known);
  const top = flat ? most : most + (most - least) * 0.15;
  const step = width / Math.max(1, known.length - 1);
  const points = known.map((v, i) => `${(i * step).toFixed(1)},${(height - 1 - (v / top) * (height - 3)).toFixed(1)}`);
  if (points.length < 2) points.push(`${width},${height - 1}`);
  return html`<svg class="spark" viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" width="100%" height=${height} role="img" aria-label=${label}>
    <path d=${`M0,${height} L${points.join(" L")} L${width},${height} Z`} fill=${color} fill-opacity=".12" />
    <path d=${`M${points.join(" L")}`} fill="none" stroke=${color} stroke-width="1.5" stroke-linejoin="round" /></svg>`;
}

export const Bones = ({ rows = 4 }) => html`<div class="bones" aria-hidden="true">${Array.from({ length: rows }, (_, i) => html`<i key=${i} style=${{ width: `${85 - 13 * (i % 3)}%` }}></i>`)}</div>`;

// A menu under a button; Esc and a click elsewhere close it.
export function Menu({ label, className = "chip", children, title }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event) => {
      if (event.type === "keydown" ? event.key === "Escape" : !box.current?.contains(event.target)) {
        setOpen(false);
        event.stopPropagation();
      }
    };
    addEventListener("pointerdown", close, true);
    addEventListener("keydown", close, true);
    return () => { removeEventListener("pointerdown", close, true); removeEventListener("keydown", close, true); };
  }, [open]);
  return html`<div class="menu" ref=${box}><button class=${className} aria-expanded=${String(open)} title=${title} onClick=${() => setOpen(!open)}>${label}${icons.down}</button>
    ${open && html`<ul onClick=${() => setOpen(false)}>${children}</ul>`}</div>`;
}

// Whether the window is as narrow as a phone; follows it.
export function useNarrow(width = 599) {
  const query = `(max-width: ${width}px)`;
  const [narrow, setNarrow] = useState(matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const follow = () => setNarrow(media.matches);
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, [query]);
  return narrow;
}
