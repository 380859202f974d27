// A Python traceback as a person reads it: the user's own frames, library frames folded away.
import { html, useState } from "../vendor/htm-preact.js";

const FRAME = /^\s*File "(.+?)", line (\d+), in (.+)$/;
const LIBRARY = /site-packages|dist-packages|\/lib\/python3|<frozen|\/rootward\/|rootward\/(worker|modules|orchestrator)\//;

export function frames(text) {
  const found = [];
  let open = null;
  for (const line of text.split("\n")) {
    const frame = FRAME.exec(line);
    if (frame) {
      open = { file: frame[1], line: Number(frame[2]), name: frame[3], code: [] };
      found.push(open);
    } else if (open && /^\s{4}/.test(line) && !/^\s*[~^]+\s*$/.test(line)) {
      open.code.push(line.trim());
    } else if (!/^\s/.test(line)) {
      open = null;
    }
  }
  return found;
}

const isOwn = (frame) => !LIBRARY.test(frame.file);
const short = (file) => file.split("/").slice(-2).join("/");

// Where the user's own code raised: the innermost frame that is no library's.
export function place(text) {
  const all = frames(text);
  const own = all.filter(isOwn);
  const last = own[own.length - 1] || all[all.length - 1];
  return last ? { ...last, file: short(last.file) } : null;
}

export function Traceback({ text }) {
  const [open, setOpen] = useState(false);
  const all = frames(text);
  const own = all.filter(isOwn);
  const hidden = all.length - own.length;
  const shown = open || !own.length ? all : own;
  return html`<section><div class="row"><h3>Traceback</h3><span class="grow"></span>${hidden > 0 && own.length > 0 && html`<button class="link meta" onClick=${() => setOpen(!open)}>${open ? "Only own frames" : `+ ${hidden} library ${hidden === 1 ? "frame" : "frames"}`}</button>`}</div>
    <div class="well traceback" tabindex="0" aria-label="Traceback">${shown.length ? shown.map((frame, i) => html`<div key=${i} class=${i === shown.length - 1 ? "raised" : ""}><span class="soft" title=${frame.file}>${short(frame.file)}:${frame.line} in ${frame.name}</span>${frame.code.map((line, n) => html`<span class="source" key=${n}>${line}</span>`)}</div>`) : text}</div></section>`;
}
