// The drawer of one module: why it waits or its error, actions, traceback, tasks, replicas, log.
// Sections without content are absent.
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { resume, scale } from "./actions.js";
import { deployment, get } from "./api.js";
import { age, clock, duration, lastPart, latency, plural, rate } from "./format.js";
import { Glyph, icons } from "./glyphs.js";
import { onKeys } from "./keys.js";
import { live } from "./live.js";
import { Log } from "./log.js";
import { ran } from "./model.js";
import { waitsFor } from "./node.js";
import { Copy, Name, State } from "./parts.js";
import { toService } from "./route.js";
import { Traceback, place } from "./traceback.js";

export function Drawer({ tree, node, doc, id, onClose, page }) {
  const failed = node.tasks.find((task) => task.doc.state === "failed" && task.kind !== "prepare") || node.tasks.find((task) => task.doc.state === "failed");
  const detail = useDetail(id, node);
  const service = live.get(`s/${node.path}`);
  const waits = !failed && node.tasks.some((task) => task.doc.state === "waiting" || task.doc.state === "queued");
  const stale = Boolean(live.stale());
  const [width, drag] = useWidth();
  useEffect(() => onKeys((event) => {
    if (event.key === "y") { navigator.clipboard?.writeText(node.path); return true; }
    if (event.key === "l") { document.querySelector(".drawer .log")?.focus(); return true; }
    return false;
  }), [node.path]);
  const Box = page ? "main" : "aside";
  return html`<${Box} class=${page ? "drawer page" : "drawer"} aria-label=${`Module ${node.name}`} style=${page ? undefined : { width: `${width}px` }}>${!page && html`<span class="drag" onPointerDown=${drag} aria-hidden="true"></span>`}
    ${page && html`<h1 class="hidden-text">${id}</h1><button class="back" onClick=${onClose}>${icons.left}${id}</button>`}
    <header><div class="row"><${Glyph} state=${node.state} size=${16} /><h2 class="cut"><${Name} text=${node.name} most=${36} /></h2><span class="meta">${node.served ? "served" : ""}</span><span class="grow"></span>${!page && html`<button class="icon" aria-label="Close the drawer" onClick=${onClose}>${icons.close}</button>`}</div>
      <div class="row path-line"><code class="cut" dir="auto" title=${node.path}>${node.path}</code><${Copy} text=${node.path} label="Copy the path" /></div></header>
    ${waits && html`<${Why} tree=${tree} node=${node} doc=${doc} />`}
    ${failed && html`<${Failure} task=${failed} detail=${detail} node=${node} doc=${doc} id=${id} stale=${stale} />`}
    <${Tasks} node=${node} detail=${detail} />
    ${service && html`<${Replicas} service=${service} doc=${doc} stale=${stale} />`}
    <${Log} id=${id} node=${node} /></${Box}>`;
}

// Tracebacks stay with the tasks and are fetched only for the module that is looked at.
function useDetail(id, node) {
  const [detail, setDetail] = useState(null);
  const mark = node.tasks.map((task) => `${task.doc.state}${task.doc.attempt || 0}`).join();
  useEffect(() => {
    let wanted = true;
    const paths = [...new Set(node.tasks.map((task) => task.path))];
    Promise.all([
      ...paths.map((path) => get(`${deployment(id)}/tasks`, { module: path })),
      get(`${deployment(id)}/history`, { module: node.path, limit: 50 }),
    ]).then((told) => {
      const history = told.pop();
      if (wanted) setDetail({ tasks: told.flatMap((each) => each.tasks), events: history.events });
    }, () => {});
    return () => { wanted = false; };
  }, [id, mark]);
  return detail;
}

function useWidth() {
  let kept = 448;
  try {
    kept = Number(localStorage.getItem("rootward-drawer")) || 448;
  } catch { /* The usual width then. */ }
  const [width, setWidth] = useState(Math.min(720, Math.max(360, kept)));
  const drag = (event) => {
    event.preventDefault();
    const move = (moved) => {
      const next = Math.min(720, Math.max(360, innerWidth - moved.clientX));
      setWidth(next);
      try {
        localStorage.setItem("rootward-drawer", String(next));
      } catch { /* It lasts as long as the page then. */ }
    };
    const end = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", end); };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
  };
  return [width, drag];
}

const STILL = { running: "still runs", queued: "waits for a slot", waiting: "waits itself", failed: "failed" };

function Why({ tree, node, doc }) {
  const task = node.tasks.find((each) => each.doc.state === "queued" && each.kind !== "prepare") || node.tasks.find((each) => each.doc.state === "waiting") || node.tasks.find((each) => each.doc.state === "queued");
  if (task.doc.state === "queued") {
    return html`<section><h3>Why it waits</h3><div class="callout"><b>${doc.reason ? `${doc.reason}` : `${noun(task.kind)} waits for a slot${task.doc.queued_at && !live.stale() ? `, ${age(live.now() - task.doc.queued_at)}` : ""}.`}</b>${!doc.reason && html`<p class="small soft">Every slot that could run it is in use, or it is about to start.</p>`}</div></section>`;
  }
  const before = holders(tree, task);
  const open = before.filter((each) => each.doc.state !== "succeeded");
  const title = `${noun(task.kind)} waits for ${open.length} of ${plural(before.length, "task")}.`;
  return html`<section><h3>Why it waits</h3><div class="callout"><b>${before.length ? title : capital(waitsFor(task, node))}</b>${open.slice(0, 8).map((each) => html`<p class="row" key=${each.index}><${Glyph} state=${each.doc.state} /><b class="cut"><${Name} text=${lastPart(each.path || "")} most=${24} /></b><span class="soft small">${each.kind} ${STILL[each.doc.state] || each.doc.state}</span></p>`)}${open.length > 8 && html`<p class="meta">and ${open.length - 8} more</p>`}</div></section>`;
}

const NOUN = { train: "Training", prepare: "Warming", deploy: "Deploying", eval: "Evaluating" };
const noun = (kind) => NOUN[kind] || kind;
const capital = (text) => `Waits ${text}.`;

function holders(tree, task) {
  const found = new Map();
  const stack = [...task.after];
  const seen = new Set();
  while (stack.length) {
    const index = stack.pop();
    if (seen.has(index)) continue;
    seen.add(index);
    const before = tree.tasks[index];
    if (before.kind === "join") stack.push(...before.after);
    else found.set(index, before);
  }
  return [...found.values()].sort((a, b) => a.index - b.index);
}

function Failure({ task, detail, node, doc, id, stale }) {
  const full = detail?.tasks.find((each) => each.id === task.id);
  const error = full?.error || task.doc.error || { type: "", message: task.doc.reason || "failed" };
  const where = error.traceback ? place(error.traceback) : null;
  const words = `${error.type}${error.type && error.message ? ": " : ""}${error.message}`;
  const attempts = task.doc.attempt > 1 ? `attempt ${task.doc.attempt}` : "first attempt";
  return html`<section><div class="callout error"><code dir="auto">${words}</code><p class="small">${where && html`<code>${where.file}:${where.line}</code> in <code>${where.name}</code> · `}${attempts}${task.doc.worker ? ` · worker ${task.doc.worker}` : ""}</p></div>
    <div class="row acts">${doc.generation === doc.latest && ["failed", "cancelled"].includes(doc.state) && html`<button class="button small" disabled=${stale} title=${stale ? "Not live: changes are off" : undefined} onClick=${() => resume(doc, id)}>${icons.again}Retry ${node.name}</button>`}<${Copy} text=${error.traceback || words}>Copy error</${Copy}></div></section>
    ${error.traceback && html`<${Traceback} text=${error.traceback} />`}`;
}

function Tasks({ node, detail }) {
  const rows = [];
  for (const task of node.tasks) {
    rows.push({ key: task.index, kind: task.kind, state: task.doc.state, note: noteOf(task, node), time: task.doc.state === "running" && !live.stale() ? duration(live.now() - task.doc.started_at) : duration(ran(task)) });
    const earlier = (detail?.events || []).filter((each) => each.task === task.id && ["task.retried", "task.lost"].includes(each.event));
    for (const each of earlier) rows.push({ key: each.id, kind: task.kind, state: each.event === "task.lost" ? "lost" : "failed", note: `attempt ${each.attempt || "?"} · ${each.worker || "no worker"}${each.reason ? ` · ${each.reason}` : ""}`, time: clock(each.at, true) });
  }
  if (!rows.length) return null;
  return html`<section><h3>Tasks</h3><table class="small-grid"><tbody>${rows.map((row) => html`<tr key=${row.key}><td>${row.kind}</td><td><${State} state=${row.state} /></td><td class="soft cut-cell" title=${row.note}>${row.note}</td><td class="num soft">${row.time}</td></tr>`)}</tbody></table></section>`;
}

function noteOf(task, node) {
  const doc = task.doc;
  if (doc.state === "waiting") return waitsFor(task, node);
  if (doc.state === "skipped") return doc.reason || "what it waits for failed";
  const parts = [doc.attempt > 1 || doc.state === "failed" ? `attempt ${doc.attempt}` : "", doc.worker || ""].filter(Boolean);
  if (doc.progress) parts.push(doc.progress.text || `${doc.progress.done}${doc.progress.total ? ` of ${doc.progress.total}` : ""}`);
  return parts.join(" · ");
}

function Replicas({ service, doc, stale }) {
  const figures = live.get(`m/${service.service}`);
  const other = service.generation !== doc.generation ? `of @${service.generation}, serving now` : `${service.wanted} wanted${service.bounds ? ` of ${service.bounds}` : ""}`;
  return html`<section><div class="row"><h3>Replicas</h3><span class="grow"></span><span class="meta">${other}</span></div>
    <table class="small-grid"><thead><tr><th>Replica</th><th>On</th><th class="num">Calls/s</th><th class="num">p99</th><th class="num">Age</th></tr></thead><tbody>${service.replicas.map((each) => {
      const mine = figures?.replicas[each.replica];
      return html`<tr key=${each.replica}><td><span class="state"><${Glyph} state=${each.state} /><code title=${each.replica}>${each.replica.slice(0, 7)}</code></span></td><td class="soft cut-cell" title=${each.reason || each.url}>${each.worker}${port(each.url)}</td><td class="num">${mine ? rate(mine.rate) : "–"}</td><td class="num">${latency(mine?.p99)}</td><td class="num soft">${stale ? clock(each.since, true) : age(live.now() - each.since)}</td></tr>`;
    })}</tbody></table>${service.replicas.filter((each) => each.reason && each.state !== "ready").map((each) => html`<p class="meta" key=${each.replica}>${each.replica.slice(0, 7)}: ${each.reason}</p>`)}
    ${service.why ? html`<p class="meta">${service.why}</p>` : null}
    <div class="row acts"><a class="button small" href=${toService(service.service)}>Try it</a><button class="button small" disabled=${stale} title=${stale ? "Not live: changes are off" : undefined} onClick=${() => scale(service)}>Scale…</button></div></section>`;
}

export const port = (url) => { const found = /:(\d+)$/.exec(url || ""); return found ? ` :${found[1]}` : ""; };
