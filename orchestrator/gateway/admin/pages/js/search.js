// The palette over the page: deployments, modules, services, workers by a part of their name.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { Glyph, icons } from "./glyphs.js";
import { live } from "./live.js";
import { go, toDeployment, toService } from "./route.js";

const MOST = 8;
let isOpen = false;
let recent = [];

export function openPalette() {
  isOpen = true;
  live.draw();
}

export const isPaletteOpen = () => isOpen;

export function closePalette() {
  isOpen = false;
  live.draw();
}

// What can be found: of modules those whose tree this page has, and those that lists speak of.
function everything() {
  const found = [];
  const modules = new Map();
  for (const [key, doc] of live.docs) {
    if (!doc) continue;
    const [kind, id] = [key.slice(0, 2), key.slice(2)];
    if (kind === "d/") {
      found.push({ group: "Deployments", text: id, state: doc.state, what: doc.state, to: toDeployment(id) });
      for (const each of [...doc.failed, ...doc.running]) if (each.module) modules.set(each.module, id);
    } else if (kind === "s/") {
      found.push({ group: "Services", text: id, state: doc.state, what: `service of ${doc.deployment}@${doc.generation}`, to: toService(id) });
      modules.set(id, `${doc.deployment}@${doc.generation}`);
    } else if (kind === "w/") {
      found.push({ group: "Workers", text: doc.worker, state: doc.state, what: doc.host, to: "#/workers" });
    } else if (kind === "g/") {
      for (const path of doc.modules) modules.set(path, id);
    }
  }
  for (const [path, id] of modules) found.push({ group: "Modules", text: path, state: "", what: id, to: toDeployment(id, "tree", { m: path }) });
  return found;
}

const GROUPS = ["Deployments", "Modules", "Services", "Workers"];

function search(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return recent;
  const hits = everything().map((each) => ({ ...each, at: each.text.toLowerCase().lastIndexOf(wanted) })).filter((each) => each.at >= 0);
  return GROUPS.flatMap((group) => hits.filter((each) => each.group === group).sort((a, b) => a.text.length - b.text.length).slice(0, MOST));
}

export function Palette() {
  return isOpen ? html`<${Box} />` : null;
}

function Box() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef(null);
  useEffect(() => input.current.focus(), []);
  const found = search(text);
  const open = (each) => {
    recent = [each, ...recent.filter((other) => other.to !== each.to)].slice(0, 5);
    closePalette();
    go(each.to);
  };
  const onKey = (event) => {
    if (event.key === "Escape") { event.stopPropagation(); closePalette(); }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setAt((old) => (old + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(1, found.length));
    }
    if (event.key === "Enter" && found[at]) open(found[at]);
  };
  return html`<div class="veil" onMouseDown=${(event) => event.target === event.currentTarget && closePalette()}><div class="palette" role="dialog" aria-modal="true" aria-label="Search">
    <input ref=${input} role="combobox" aria-expanded="true" aria-controls="found" aria-label="Find a module, service, worker" aria-activedescendant=${found[at] ? `found-${at}` : undefined} placeholder="Find a module, service, worker" value=${text} onKeyDown=${onKey} onInput=${(event) => { setText(event.target.value); setAt(0); }} />
    <ul id="found" role="listbox" aria-label="Found">${found.map((each, i) => html`${(i === 0 || found[i - 1].group !== each.group) && html`<li class="group" role="presentation" key=${`g${i}`}>${text ? each.group : i ? "" : "Last opened"}</li>`}
      <li id=${`found-${i}`} key=${each.group + each.text} role="option" aria-selected=${String(i === at)} onMouseMove=${() => setAt(i)} onClick=${() => open(each)}>${each.state ? html`<${Glyph} state=${each.state} />` : icons.right}<span class="cut" dir="auto" title=${each.text}>${marked(each)}</span><span class="meta">${each.what}</span></li>`)}
      ${text && !found.length ? html`<li class="group" role="presentation">Nothing is called so.</li>` : ""}</ul></div></div>`;
}

function marked(each) {
  const text = inputLength(each);
  if (each.at == null || !text) return each.text;
  return html`${each.text.slice(0, each.at)}<b>${each.text.slice(each.at, each.at + text)}</b>${each.text.slice(each.at + text)}`;
}

const inputLength = () => document.querySelector(".palette input")?.value.trim().length || 0;
