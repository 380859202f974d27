// The history of a generation, newest first, 100 a page; of one module while one is chosen.
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { deployment, get } from "./api.js";
import { fullTime, logClock } from "./format.js";
import { Glyph } from "./glyphs.js";
import { live } from "./live.js";
import { Bones, Name } from "./parts.js";

const STATES = { submitted: "queued", progressing: "running", started: "running", starting: "starting", lost: "failed", retried: "queued", unready: "degraded" };
const stateOf = (event) => { const last = event.event.split(".").pop(); return STATES[last] || last; };

export function EventsView({ id, module, doc, onChoose }) {
  const [pages, setPages] = useState(null);
  const [error, setError] = useState("");
  const moved = `${doc.state}${doc.moved_at || ""}${doc.counts.running || 0}${doc.ready}`;
  const load = async (before) => {
    try {
      const told = await get(`${deployment(id)}/history`, { before, module, limit: 100 });
      setPages((old) => (before && old ? { events: [...old.events, ...told.events], more: told.more } : told));
      setError("");
    } catch (problem) {
      setError(problem.message);
    }
  };
  // What is older was read before: the first page is read anew at changes, at most each second.
  useEffect(() => {
    const timer = setTimeout(() => load(), pages ? 1000 : 0);
    return () => clearTimeout(timer);
  }, [id, module, moved]);
  if (!pages) return error ? html`<p class="pad wrong-note">${error}</p>` : html`<${Bones} rows=${8} />`;
  return html`<div class="table-scroll" tabindex="0" aria-label="Events">${module && html`<p class="pad small">Only of <b><${Name} text=${module} most=${60} /></b> <button class="button plain small" onClick=${() => onChoose("")}>All events</button></p>`}
    <table class="grid"><thead><tr><th>Time</th><th>Event</th><th>What</th><th>Worker</th><th>Why</th></tr></thead><tbody>${pages.events.map((event) => html`<tr key=${event.id}><td class="mono soft" title=${fullTime(event.at)}>${logClock(event.at)}</td><td><span class="state"><${Glyph} state=${stateOf(event)} />${event.event}</span></td>
      <td>${event.path ? html`<button class="link" onClick=${() => onChoose(event.path)}><${Name} text=${event.path} most=${48} /></button>` : ""}${event.kind && event.event.startsWith("task.") ? html` <span class="meta">${event.kind}${event.attempt > 1 ? ` · attempt ${event.attempt}` : ""}</span>` : ""}</td><td class="soft"><${Name} text=${event.worker || ""} most=${20} /></td><td class="soft why" dir="auto">${event.reason || ""}</td></tr>`)}</tbody></table>
    ${pages.more && html`<p class="more-line"><button class="button" disabled=${Boolean(live.stale())} onClick=${() => load(pages.events[pages.events.length - 1].id)}>Older events</button></p>`}</div>`;
}
