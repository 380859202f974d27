// The full text equivalent of tree and timeline: a row a task, sortable, drawn only where visible.
import { html, useRef, useState } from "../vendor/htm-preact.js";
import { clock, duration } from "./format.js";
import { live } from "./live.js";
import { countsForPeople, matches, ran } from "./model.js";
import { Name, State } from "./parts.js";

const ROW = 40;
const COLUMNS = [
  ["module", "Module", (task) => task.path], ["kind", "Task", (task) => task.kind], ["state", "State", (task) => task.doc.state],
  ["worker", "Worker", (task) => task.doc.worker || ""], ["attempt", "Attempt", (task) => task.doc.attempt || 0],
  ["waited", "Waited", (task) => waited(task) ?? -1], ["ran", "Ran", (task) => ran(task) ?? -1], ["ended", "Ended", (task) => task.doc.ended_at || 0],
];

const waited = (task) => (task.doc.started_at && task.doc.queued_at ? task.doc.started_at - task.doc.queued_at : null);

export function TableView({ tree, chosen, filter, onChoose }) {
  const [sort, setSort] = useState(["", 1]);
  const [top, setTop] = useState(0);
  const box = useRef(null);
  let rows = tree.tasks.filter((task) => countsForPeople(task) && matches(filter, task.doc.state));
  const column = COLUMNS.find(([key]) => key === sort[0]);
  if (column) rows = [...rows].sort((a, b) => (column[2](a) < column[2](b) ? -sort[1] : column[2](a) > column[2](b) ? sort[1] : 0));
  const from = Math.max(0, Math.floor(top / ROW) - 10);
  const shown = rows.slice(from, from + 60);
  const order = (key) => setSort(([old, way]) => (old === key ? [key, -way] : [key, 1]));
  return html`<div class="table-scroll" ref=${box} tabindex="0" aria-label="Tasks" onScroll=${(event) => setTop(event.target.scrollTop)}><table class="grid" aria-rowcount=${rows.length}><thead><tr>${COLUMNS.map(([key, text]) => html`<th key=${key} class=${["waited", "ran", "ended", "attempt"].includes(key) ? "num" : ""} aria-sort=${sort[0] === key ? (sort[1] > 0 ? "ascending" : "descending") : "none"}><button class="sort" onClick=${() => order(key)}>${text}${sort[0] === key ? (sort[1] > 0 ? " ↑" : " ↓") : ""}</button></th>`)}</tr></thead>
    <tbody>${from > 0 && html`<tr aria-hidden="true"><td colspan="8" class="gap" style=${{ height: `${from * ROW}px` }}></td></tr>`}${shown.map((task) => html`<${Row} key=${task.index} task=${task} chosen=${task.node?.path === chosen} onChoose=${onChoose} />`)}
    ${rows.length > from + 60 && html`<tr aria-hidden="true"><td colspan="8" class="gap" style=${{ height: `${(rows.length - from - 60) * ROW}px` }}></td></tr>`}</tbody></table>${!rows.length && html`<p class="pad soft">No task is in that state.</p>`}</div>`;
}

function Row({ task, chosen, onChoose }) {
  const doc = task.doc;
  const choose = () => task.node && onChoose(task.node.path);
  const note = doc.error ? `${doc.error.type}: ${doc.error.message}` : doc.reason || "";
  return html`<tr class=${chosen ? "opens chosen" : "opens"} onClick=${choose} title=${note}><td><button class="link" onClick=${choose}><${Name} text=${task.path || ""} most=${56} /></button></td><td class="soft">${task.kind}</td><td><${State} state=${doc.state} /></td><td class="soft"><${Name} text=${doc.worker || "–"} most=${20} /></td>
    <td class="num soft">${doc.attempt || "–"}</td><td class="num soft">${duration(waited(task))}</td><td class="num">${doc.state === "running" ? (live.stale() ? "running" : duration(live.now() - doc.started_at)) : duration(ran(task))}</td><td class="num soft">${doc.ended_at ? clock(doc.ended_at, true) : "–"}</td></tr>`;
}
