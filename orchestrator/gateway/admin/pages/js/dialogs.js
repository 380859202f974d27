// Questions before changes, the sign-in they may need, and what became of them.
//
// One dialog at a time; each change has one. Focus begins on Cancel when something stops, and goes
// back to where it was.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { post } from "./api.js";
import { Glyph } from "./glyphs.js";
import { live } from "./live.js";

let question = null;
let toasts = [];
let numbers = 0;

export function ask(asked) {
  question = { ...asked, back: document.activeElement };
  live.draw();
}

export function closeQuestion() {
  const back = question?.back;
  question = null;
  live.draw();
  requestAnimationFrame(() => back?.isConnected && back.focus());
}

export const isAsking = () => question !== null;

export function toast(text, { error = false } = {}) {
  const id = ++numbers;
  toasts = [...toasts.slice(-3), { id, text, error }];
  live.draw();
  if (!error) setTimeout(() => dismiss(id), 6000);
}

function dismiss(id) {
  toasts = toasts.filter((each) => each.id !== id);
  live.draw();
}

export function Toasts() {
  return html`<div class="toasts" role="status">${toasts.map((each) => html`<div class="toast" key=${each.id} role=${each.error ? "alert" : undefined}>
    <span>${each.text}</span><button onClick=${() => dismiss(each.id)}>Close</button></div>`)}</div>`;
}

export function Question() {
  return question ? html`<${Dialog} key=${question.title} asked=${question} />` : null;
}

function Dialog({ asked }) {
  const box = useRef(null);
  const [typed, setTyped] = useState(asked.value ?? "");
  const [token, setToken] = useState(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const first = asked.field && !asked.typed ? "input" : asked.stops ? ".cancel" : ".do";
    (box.current.querySelector(first) || box.current.querySelector("button")).focus();
  }, []);
  const isReady = !asked.typed || typed === asked.typed;
  const act = async (event) => {
    event.preventDefault();
    if (busy || !isReady) return;
    setBusy(true);
    setError("");
    try {
      if (token !== null) await post("/api/session", { token });
      const told = await asked.act(typed);
      closeQuestion();
      if (told) toast(told);
    } catch (problem) {
      if (problem.status === 401) {
        setToken("");
        setError(token === null ? "" : problem.message);
        requestAnimationFrame(() => box.current?.querySelector('[name="token"]')?.focus());
      } else {
        setError(problem.message);
      }
      setBusy(false);
    }
  };
  const onKey = (event) => {
    if (event.key === "Escape") { event.stopPropagation(); closeQuestion(); }
    if (event.key === "Tab") keepInside(event, box.current);
  };
  return html`<div class="veil" onMouseDown=${(event) => event.target === event.currentTarget && closeQuestion()}>
    <form class="dialog" role="dialog" aria-modal="true" aria-label=${asked.title} ref=${box} onKeyDown=${onKey} onSubmit=${act}>
      <h2>${asked.title}</h2>
      <ul>${(asked.points || []).filter(Boolean).map((point) => html`<li key=${point}>${point}</li>`)}</ul>
      ${(asked.field || asked.typed) && html`<label class="field-label">${asked.field || `${asked.why} type ${asked.typed}`}
        <input class="field" type=${asked.number ? "number" : "text"} min="0" max="1000" value=${typed} onInput=${(event) => setTyped(event.target.value)} /></label>`}
      ${token !== null && html`<label class="field-label">Changes need the gateway's token, once per browser
        <input class="field" name="token" type="password" autocomplete="current-password" value=${token} onInput=${(event) => setToken(event.target.value)} /></label>
        <p class="meta">It is in the file that <code>rootward gateway serve</code> or <code>up</code> named at its start.</p>`}
      ${error && html`<p class="wrong-note" role="alert"><${Glyph} state="failed" />${error}</p>`}
      <div class="ends"><button type="button" class="button cancel" onClick=${closeQuestion}>Cancel <kbd>Esc</kbd></button>
        <button type="submit" class="button main do" disabled=${!isReady || busy}>${asked.verb}</button></div>
    </form></div>`;
}

export function keepInside(event, box) {
  const all = [...box.querySelectorAll("button:not(:disabled), input, select, textarea, a[href]")];
  const last = event.shiftKey ? all[0] : all[all.length - 1];
  if (document.activeElement === last) {
    event.preventDefault();
    (event.shiftKey ? all[all.length - 1] : all[0])?.focus();
  }
}
