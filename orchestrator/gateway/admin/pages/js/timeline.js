// The timeline: the verdict in a sentence, the critical path as one strip, a bar a task by worker
// (waited for others, waited for a slot, ran), the slots below. Rows are drawn only where visible.
import { html, useRef, useState } from "../vendor/htm-preact.js";
import { criticalPath, lanes, simulate, span, strip } from "./critical.js";
import { duration, lastPart, perCent, plural } from "./format.js";
import { Glyph } from "./glyphs.js";
import { live } from "./live.js";
import { matches } from "./model.js";
import { Name, Segments } from "./parts.js";

const ROW = 28;
const MANY = 200;

export function Timeline({ tree, doc, chosen, filter, onChoose, narrow }) {
  const path = criticalPath(tree);
  const rows = lanes(tree);
  const tasks = tree.tasks.filter((task) => task.kind !== "join" && task.doc.started_at);
  const [mode, setMode] = useState("");
  const [only, setOnly] = useState(false);
  if (!tasks.length) return html`<p class="pad soft">Nothing has started yet: the timeline begins with the first task.</p>`;
  const { from, to } = span(tree);
  const going = ["pending", "progressing"].includes(doc.state);
  const end = going ? Math.max(to, live.now()) : to;
  const view = { from, end, width: Math.max(end - from, 0.001) };
  const parts = strip(path);
  const verdict = html`<${Verdict} tree=${tree} path=${path} parts=${parts} rows=${rows} view=${view} going=${going} />`;
  if (narrow) return html`<${PhoneTimeline} verdict=${verdict} path=${path} parts=${parts} rows=${rows} view=${view} total=${tasks.length} />`;
  const shown = mode || (tasks.length > MANY ? "slots" : "tasks");
  const inPath = new Set(path);
  const fits = (task) => matches(filter, task.doc.state) && (!only || inPath.has(task));
  return html`<div class="timeline"><div class="timeline-top"><div class="row"><p class="grow">${verdict}</p><${Segments} label="Rows" value=${shown} onChange=${setMode} options=${[["tasks", "Tasks"], ["slots", "Slots"]]} /><button class="chip" aria-pressed=${String(only)} onClick=${() => setOnly(!only)}>Critical path only</button></div>${parts.length > 0 && html`<${Strip} parts=${parts} />`}</div>
    ${shown === "tasks" ? html`<${Rows} tree=${tree} rows=${rows} view=${view} inPath=${inPath} path=${path} fits=${fits} chosen=${chosen} onChoose=${onChoose} going=${going} />` : null}
    <${Slots} rows=${rows} view=${view} fits=${fits} onChoose=${onChoose} /></div>`;
}

function Verdict({ tree, path, parts, rows, view, going }) {
  const whole = duration(view.width);
  const busiest = [...parts].filter((part) => !part.slot).sort((a, b) => b.seconds - a.seconds)[0];
  const waited = parts.filter((part) => part.slot).reduce((sum, part) => sum + part.seconds, 0);
  const slots = rows.reduce((sum, each) => sum + each.rows.length, 0);
  const running = path.find((task) => task.doc.state === "running");
  if (going) return html`<b>${whole} so far.</b> <span class="soft">${running ? `The critical path leads over ${lastPart(running.path)}.` : ""}</span>`;
  const saved = waited > 0.1 && tree.tasks.length < 5000 ? simulate(tree, slots) - simulate(tree, slots + 1) : 0;
  const share = busiest ? `${perCent(busiest.seconds / view.width)} of it is ${noun(busiest.task)}` : "";
  return html`<b>Critical path ${whole}:</b> <span class="soft">${share}${waited > 0.1 ? `; ${duration(waited)} is waiting for a slot` : ""}.${saved > 0.05 ? ` With one more slot it would have taken about ${duration(view.width - saved)}.` : ""}</span>`;
}

const VERB = { train: "training", prepare: "warming", deploy: "deploying", eval: "evaluating" };
const noun = (task) => `${VERB[task.kind]} ${lastPart(task.path)}`;

const Strip = ({ parts }) => html`<div class="path-strip" role="img" aria-label=${`Critical path: ${parts.map((part) => `${part.slot ? "slot" : `${lastPart(part.task.path)} ${part.task.kind}`} ${duration(part.seconds)}`).join(", ")}`}>${parts.map((part, i) => html`<i key=${i} class=${part.slot ? "k-slot" : `k-${part.task.kind}`} style=${{ flexGrow: Math.max(part.seconds * 1000, 1), flexBasis: 0 }} title=${`${lastPart(part.task.path)} ${part.slot ? "waited for a slot" : part.task.kind} ${duration(part.seconds)}`}><span>${part.slot ? "slot" : `${lastPart(part.task.path)} ${part.task.kind}`} ${duration(part.seconds)}</span></i>`)}</div>`;

function ticks(view) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200, 86400];
  const step = steps.find((each) => view.width / each <= 9) || view.width / 8;
  return Array.from({ length: Math.floor(view.width / step) + 1 }, (_, i) => i * step);
}

const at = (view, time) => `${(100 * Math.max(0, Math.min(1, (time - view.from) / view.width))).toFixed(3)}%`;
const wide = (view, seconds) => `${Math.max(0, (100 * seconds) / view.width).toFixed(3)}%`;

function Rows({ tree, rows, view, inPath, path, fits, chosen, onChoose, going }) {
  const [top, setTop] = useState(0);
  const box = useRef(null);
  const lines = [];
  for (const { worker, rows: slots } of rows) {
    const tasks = slots.flat().filter(fits).sort((a, b) => (a.doc.queued_at || a.doc.started_at) - (b.doc.queued_at || b.doc.started_at));
    if (tasks.length) lines.push({ worker, slots: slots.length }, ...tasks.map((task) => ({ task })));
  }
  const first = Math.max(0, Math.floor(top / ROW) - 8);
  const shown = lines.slice(first, first + 60);
  const place = new Map(lines.map((line, i) => [line.task, i]));
  const joins = path.slice(1).map((task, i) => [path[i], task]).filter(([a, b]) => place.has(a) && place.has(b) && a.doc.ended_at && b.doc.started_at);
  const marks = barriers(tree, view, going);
  return html`<div class="bars-scroll" ref=${box} tabindex="0" aria-label="Bars of the tasks" onScroll=${(event) => setTop(event.target.scrollTop)}>
    <div class="axis"><span class="bars-area">${ticks(view).map((each) => html`<span key=${each} class="tick" style=${{ left: wide(view, each) }}>${each ? duration(each).replace(".0 ", " ") : "0 s"}</span>`)}${marks.map(([text, time, left]) => html`<b key=${text} class=${left || time - view.from > 0.8 * view.width ? "mark left" : "mark"} style=${{ left: at(view, time) }}>${text} ${duration(time - view.from)}</b>`)}</span></div>
    <div class="bars" style=${{ height: `${lines.length * ROW}px` }}><span class="bars-area lines">${ticks(view).map((each) => html`<i key=${each} class="grid-line" style=${{ left: wide(view, each) }}></i>`)}${marks.map(([text, time]) => html`<i key=${text} class="mark-line" style=${{ left: at(view, time) }}></i>`)}</span>
      ${shown.map((line, i) => html`<div class=${line.task ? (chosen && line.task.node?.path === chosen ? "bar-row chosen" : "bar-row") : "bar-row worker-row"} key=${line.task ? line.task.index : line.worker} style=${{ top: `${(first + i) * ROW}px` }} onClick=${() => line.task?.node && onChoose(line.task.node.path)}>${line.task ? html`<${TaskBar} task=${line.task} view=${view} critical=${inPath.has(line.task)} />` : html`<span class="bar-label row"><${Glyph} state="ready" size=${12} /><b><${Name} text=${line.worker} most=${20} /></b><span class="meta">${plural(line.slots, "slot")}</span></span>`}</div>`)}
      <span class="bars-area lines"><svg class="joins" width="100%" height=${lines.length * ROW} preserveAspectRatio="none" aria-hidden="true">${joins.map(([a, b]) => {
        const [x, y1, y2] = [at(view, a.doc.ended_at), place.get(a) * ROW + 14, place.get(b) * ROW + 14];
        return html`<line key=${b.index} x1=${x} x2=${x} y1=${y1} y2=${y2} />`;
      })}</svg></span></div></div>`;
}

function barriers(tree, view, going) {
  const found = [];
  const endOf = (kind) => {
    const tasks = tree.tasks.filter((task) => task.kind === kind);
    return tasks.length && tasks.every((task) => task.doc.state === "succeeded") ? Math.max(...tasks.map((task) => task.doc.ended_at || 0)) : null;
  };
  const trained = endOf("train");
  const deployed = endOf("deploy");
  if (trained) found.push(["all trained", trained, true]);
  if (deployed) found.push(["all deployed", deployed, false]);
  if (going) found.push(["now", view.end, true]);
  return found;
}

function TaskBar({ task, view, critical }) {
  const doc = task.doc;
  const begin = doc.started_at;
  const end = doc.ended_at || view.end;
  const queued = Math.min(doc.queued_at || begin, begin);
  const slot = begin - queued;
  const share = !doc.ended_at && doc.progress?.total ? doc.progress.done / doc.progress.total : null;
  const words = `${task.path} ${task.kind}: ${doc.state}, waited ${duration(slot)} for a slot, ran ${duration(end - begin)} on ${doc.worker}`;
  return html`<span class="bar-label"><button class="link" title=${task.path}>${critical ? html`<b><${Name} text=${lastPart(task.path)} most=${16} /></b>` : html`<${Name} text=${lastPart(task.path)} most=${16} />`}</button><span class="meta">${task.kind}</span><span class="num soft small">${duration(end - begin)}</span></span>
    <span class="bars-area" role="img" aria-label=${words}><i class="t-others" style=${{ left: 0, width: at(view, queued) }}></i>${slot > 0.01 && html`<i class="t-slot" style=${{ left: at(view, queued), width: wide(view, slot) }}>${slot / view.width > 0.1 && html`<span>waited ${duration(slot)} for a slot</span>`}</i>`}
    <i class=${`t-ran k-${doc.state === "failed" ? "failed" : task.kind} ${doc.ended_at ? "" : "going"}`} style=${{ left: at(view, begin), width: wide(view, end - begin) }}>${share != null && html`<span class="t-done" style=${{ transform: `scaleX(${share})` }}></span>`}${doc.state === "failed" && html`<b aria-hidden="true">×</b>`}</i>
    ${critical && html`<i class="t-ring" style=${{ left: at(view, queued), width: wide(view, end - queued) }}></i>`}</span>`;
}

function usage(row, view) {
  const busy = row.reduce((sum, task) => sum + ((task.doc.ended_at || view.end) - task.doc.started_at), 0);
  return Math.min(1, busy / view.width);
}

function Slots({ rows, view, fits, onChoose }) {
  const all = rows.flatMap(({ worker, rows: slots }) => slots.map((row, i) => ({ worker, row, i, share: usage(row, view) })));
  const mean = all.length ? all.reduce((sum, each) => sum + each.share, 0) / all.length : 0;
  return html`<div class="slot-strip" tabindex="0" aria-label="Slots in use"><p><b>Slots in use</b> <span class="meta">${perCent(mean)}</span></p>${all.slice(0, 64).map(({ worker, row, i, share }) => html`<div class="slot-row" key=${`${worker} ${i}`}><span class="soft small cut">${worker} ${i + 1}</span><span class="bars-area" role="img" aria-label=${`${worker} slot ${i + 1}: ${perCent(share)} in use`}>${row.filter(fits).map((task) => html`<i key=${task.index} class=${`k-${task.doc.state === "failed" ? "failed" : task.kind}`} title=${`${task.path} ${task.kind}`} style=${{ left: at(view, task.doc.started_at), width: wide(view, (task.doc.ended_at || view.end) - task.doc.started_at) }} onClick=${() => task.node && onChoose(task.node.path)}></i>`)}</span><span class="meta">${perCent(share)}</span></div>`)}
    <p class="kinds meta"><span><i class="t-others"></i>waited for others</span><span><i class="t-slot"></i>waited for a slot</span>${["train", "prepare", "deploy", "eval"].map((kind) => html`<span key=${kind}><i class=${`k-${kind}`}></i>${kind === "eval" ? "evaluate" : kind}</span>`)}<span><i class="t-ring"></i>critical path</span></p></div>`;
}

// On a phone the critical path is a list, with the slots below it.
function PhoneTimeline({ verdict, parts, rows, view, total }) {
  let passed = 0;
  const all = rows.flatMap(({ worker, rows: slots }) => slots.map((row, i) => ({ name: `${worker} ${i + 1}`, share: usage(row, view) })));
  const whole = parts.reduce((sum, part) => sum + part.seconds, 0) || 1;
  return html`<div class="phone-timeline"><p>${verdict}</p><div class="card">${parts.map((part, i) => {
    const begin = passed;
    passed += part.seconds;
    return html`<div class="phone-step" key=${i}><span class="row"><b>${part.slot ? "waited for a slot" : lastPart(part.task.path)}</b>${!part.slot && html`<span class="meta">${part.task.kind} · ${part.task.doc.worker}</span>`}<span class="grow"></span>${duration(part.seconds)}</span><span class="phone-bar"><i class=${part.slot ? "t-slot" : `k-${part.task.kind}`} style=${{ left: `${(100 * begin) / whole}%`, width: `${(100 * part.seconds) / whole}%` }}></i></span></div>`;
  })}</div><p><b>Slots in use</b></p><div class="card pad">${all.slice(0, 32).map(({ name, share }) => html`<p class="row" key=${name}><span class="slot-name cut">${name}</span><span class="phone-bar grow"><i class="k-running" style=${{ left: 0, width: `${100 * share}%` }}></i></span><span class="meta">${perCent(share)}</span></p>`)}</div><p class="meta">Turn the phone, or open it on a wide screen, for all ${total} bars.</p></div>`;
}
