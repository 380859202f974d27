// Home: what needs attention, deployments, workers, services; and the list of all services.
import { html, useState } from "../vendor/htm-preact.js";
import { actionsOf } from "./actions.js";
import { attention, nowLine } from "./attention.js";
import { clock, age, count, latency, perCent, plural, rate } from "./format.js";
import { Glyph, icons } from "./glyphs.js";
import { live } from "./live.js";
import { Bar, Name, Segments, Since, Spark, State, useNarrow } from "./parts.js";
import { go, toDeployment, toService } from "./route.js";

export function HomeView() {
  const docs = sorted(live.all("d/"));
  const services = live.all("s/").sort((a, b) => (a.service < b.service ? -1 : 1));
  const workers = live.all("w/").sort((a, b) => (a.worker < b.worker ? -1 : 1));
  const queue = live.get("q") || { busy: 0, slots: 0, queued: 0, usage: [] };
  const [all, setAll] = useState(false);
  const needs = attention(docs, services, workers, live.now(), Boolean(live.stale()));
  const shown = all ? needs : needs.slice(0, 5);
  const active = docs.filter(isActive);
  const here = workers.filter((each) => each.state !== "lost");
  const names = new Set(docs.map((doc) => doc.name)).size;
  const title = needs.length ? `${plural(needs.length, "thing needs", "things need")} attention` : allWell(docs);
  return html`<main><div class="head-line"><h1>${title}</h1><span class="soft wide">${plural(names, "deployment")} · ${plural(services.length, "service")} · ${plural(here.length, "worker")} with ${queue.busy} of ${plural(queue.slots, "slot")} in use</span></div>
    <div class="cards">
    ${needs.length > 0 && html`<section class="card attention" aria-label="Needs attention">${shown.map((each) => html`<${Attention} key=${each.key} item=${each} />`)}
      ${needs.length > 5 && html`<p class="more-line"><button class="button plain" onClick=${() => setAll(!all)}>${all ? "Only the first 5" : `${needs.length - 5} more`}</button></p>`}</section>`}
    <div class="two"><${Deployments} docs=${docs} active=${active} /><${Workers} workers=${workers} queue=${queue} /></div>
    ${services.length > 0 && html`<${Services} services=${services.slice(0, 12)} total=${services.length} />`}
    </div></main>`;
}

// Names by their newest generation, and below each its generations.
function sorted(docs) {
  const newest = new Map();
  for (const doc of docs) newest.set(doc.name, Math.max(newest.get(doc.name) || 0, doc.created_at));
  return docs.sort((a, b) => newest.get(b.name) - newest.get(a.name) || b.generation - a.generation);
}

const isActive = (doc) => !["stopped", "cancelled"].includes(doc.state) && (doc.generation === doc.latest || doc.generation === doc.current);

function allWell(docs) {
  const ready = docs.filter((doc) => doc.state === "ready").length;
  const going = docs.filter((doc) => ["pending", "progressing"].includes(doc.state)).length;
  const parts = [ready && `${plural(ready, "deployment")} ready`, going && `${going} in progress`].filter(Boolean);
  return `All is well${parts.length ? `: ${parts.join(", ")}` : ""}`;
}

function Attention({ item }) {
  const { sentence } = item;
  const narrow = useNarrow();
  const stale = live.stale();
  const word = item.state === "lost" ? "not heard" : item.state;
  const where = whereOf(item);
  const resume = item.doc && actionsOf(item.doc).find((each) => each.key === "resume");
  return html`<article onClick=${narrow ? () => go(where.href) : undefined}>
    <${Glyph} state=${item.state} size=${16} />
    <div class="who"><b><a href=${where.href}><${Name} text=${item.id || item.service?.service || item.worker?.worker} most=${30} /></a></b>
      <p class="meta"><span class=${`word s-${item.state === "lost" ? "failed" : item.state}`}>${word}</span>${item.since ? html`<span class="word">${stale ? " since " : " for "}</span><${Since} at=${item.since} />` : ""}</p></div>
    <div class="what"><p><bdi dir="auto">${sentence.who}</bdi>${sentence.what}${sentence.code && html`<code dir="auto">${sentence.code}</code>`}</p>
      <p class="meta">${item.then}${item.command && html` Start one: <code>${item.command}</code>`}</p></div>
    <div class="does">${resume && html`<button class="button" disabled=${Boolean(stale)} title=${stale ? "Not live: changes are off" : undefined} onClick=${resume.ask}>Resume…</button>`}<a class="button" href=${where.href}>${where.text}</a></div>
    <span class="chevron">${icons.right}</span></article>`;
}

function whereOf(item) {
  if (item.worker) return { href: "#/workers", text: "See workers" };
  if (item.service) return { href: toDeployment(`${item.service.deployment}@${item.service.generation}`, "tree", { m: item.service.service }), text: "Open log" };
  if (item.state === "failed") return { href: toDeployment(item.id), text: "Open failure" };
  return { href: toDeployment(item.id), text: "See why" };
}

function Deployments({ docs, active }) {
  const [which, setWhich] = useState("active");
  const narrow = useNarrow();
  const shown = which === "all" ? docs : active;
  const head = html`<header><h2>Deployments</h2><span class="grow"></span><${Segments} label="Which deployments" value=${which} onChange=${setWhich} options=${[["active", "Active"], ["all", `All ${docs.length}`]]} /></header>`;
  if (narrow) return html`<section class="card list">${head}${shown.map((doc) => html`<${DeploymentItem} key=${`${doc.name}@${doc.generation}`} doc=${doc} />`)}</section>`;
  return html`<section class="card deployments">${head}<div class="scroll-x"><table class="grid"><thead><tr><th>Name</th><th>State</th><th>Tasks done</th><th class="wide">Now</th><th class="num">Replicas</th><th class="num">Since</th></tr></thead>
    <tbody>${shown.map((doc) => html`<${DeploymentRow} key=${`${doc.name}@${doc.generation}`} doc=${doc} />`)}</tbody></table></div></section>`;
}

const sinceOf = (doc) => (["pending", "progressing"].includes(doc.state) ? doc.created_at : doc.ended_at || doc.moved_at || doc.created_at);
const serves = (doc) => doc.current && doc.current !== doc.generation ? html` <small class="meta">serves @${doc.current}</small>` : null;

function NowText({ doc }) {
  const now = nowLine(doc);
  return html`<span class="row now">${now.glyph && html`<${Glyph} state=${now.glyph} size=${12} />`}<span class="cut" dir="auto" title=${now.text}>${now.text}</span></span>`;
}

function DeploymentRow({ doc }) {
  const id = `${doc.name}@${doc.generation}`;
  return html`<tr class="opens" onClick=${() => go(toDeployment(id))}>
    <td><a class="plain-link" href=${toDeployment(id)}><b><${Name} text=${doc.name} most=${24} /></b><span class="meta big">@${doc.generation}</span></a>${serves(doc)}</td>
    <td><${State} state=${doc.state} /></td>
    <td><span class="row"><${Bar} counts=${doc.counts} /><span class="soft small">${count(doc.counts.succeeded || 0)}/${count(doc.total)}</span></span></td>
    <td class="wide soft"><${NowText} doc=${doc} /></td>
    <td class="num">${doc.wanted ? `${doc.ready}/${doc.wanted}` : "–"}</td>
    <td class="num soft"><${Since} at=${sinceOf(doc)} /></td></tr>`;
}

function DeploymentItem({ doc }) {
  const id = `${doc.name}@${doc.generation}`;
  return html`<a class="item" href=${toDeployment(id)}><${Glyph} state=${doc.state} /><span class="grow">
    <span class="row"><b class="cut"><${Name} text=${doc.name} most=${24} /><span class="meta big">@${doc.generation}</span></b><span class="grow"></span><span class="meta">${count(doc.counts.succeeded || 0)}/${count(doc.total)} · <${Since} at=${sinceOf(doc)} /></span></span>
    <span class="soft small cut block">${nowLine(doc).text || doc.state}</span><${Bar} counts=${doc.counts} thin /></span></a>`;
}

function Workers({ workers, queue }) {
  const heard = live.get("h") || {};
  const usage = (queue.usage || []).map(([busy]) => busy);
  const stale = live.stale();
  return html`<section class="card workers-card"><header><h2><a class="plain-link" href="#/workers">Workers</a></h2><span class="grow"></span><span class="meta">${queue.busy} of ${plural(queue.slots, "slot")} in use</span></header>
    ${workers.map((worker) => html`<a class="worker-line" key=${worker.id} href="#/workers"><${Glyph} state=${worker.state} /><span class="grow"><b class="cut block"><${Name} text=${worker.worker} most=${28} /></b><span class="meta">${plural(worker.slots, "slot")}${resources(worker)}${worker.state === "draining" ? " · leaves" : ""}</span></span>
      <span class="right"><${Cells} worker=${worker} /><span class="meta">${worker.state === "lost" ? html`not heard for <${Since} at=${worker.heard_at} />` : stale ? `heard ${clock(heard[worker.id], true)}` : `heard ${age(live.now() - (heard[worker.id] || live.now()))} ago`}</span></span></a>`)}
    ${workers.length === 0 && html`<p class="pad soft">No worker is here. Start one: <code>rootward worker</code></p>`}
    <div class="pad queue"><p class="row"><span class="soft small">Queue</span><span class="grow"></span><span class="meta"><b>${queue.queued}</b> queued${queue.since ? html`, longest <${Since} at=${queue.since} />` : ""}</span></p>
      <p class="soft small">Slots in use, 15 min</p><${Spark} values=${usage} width=${360} height=${28} color="var(--running)" flat label=${`Slots in use in the last 15 minutes: now ${queue.busy} of ${queue.slots}`} /></div></section>`;
}

export const resources = (worker) => Object.entries(worker.resources).map(([name, amount]) => ` · ${name} ${amount}`).join("");

function Cells({ worker }) {
  const most = 12;
  const cells = Array.from({ length: Math.min(worker.slots, most) }, (_, i) => worker.tasks[i]);
  const drains = worker.state === "draining";
  return html`<span class="cells" role="img" aria-label=${`${worker.tasks.length} of ${worker.slots} slots in use`}>${cells.map((task, i) => html`<i key=${i} class=${task ? (drains ? "cell drains" : "cell busy") : "cell"} title=${task?.task}>${task && html`<${Glyph} state=${drains ? "draining" : "running"} size=${10} />`}</i>`)}${worker.slots > most && html`<span class="meta">+${worker.slots - most}</span>`}</span>`;
}

export function Services({ services, total }) {
  const narrow = useNarrow();
  const head = html`<header><h2>Services</h2><span class="meta">last 15 min</span><span class="grow"></span>${total && html`<a class="small" href="#/services">All ${plural(total, "service")}</a>`}</header>`;
  if (narrow) return html`<section class="card list">${head}${services.map((each) => html`<${ServiceItem} key=${each.service} service=${each} />`)}</section>`;
  return html`<section class="card services">${head}<div class="scroll-x"><table class="grid"><thead><tr><th>Service</th><th>State</th><th class="num">Calls/s</th><th class="chart"><span class="hidden-text">Calls chart</span></th><th class="num p50">p50</th><th class="num">p99</th><th class="chart"><span class="hidden-text">p99 chart</span></th><th class="num">Errors</th><th><span class="hidden-text">Try it</span></th></tr></thead>
    <tbody>${services.map((each) => html`<${ServiceRow} key=${each.service} service=${each} />`)}</tbody></table></div></section>`;
}

export const seriesOf = (figures, index) => (figures?.series || []).map((point) => (point ? point[index] : 0));

// Out of its norm: the last minute's p99 is twice that of the whole time, and more than a little.
export const isSlow = (figures) => Boolean(figures?.p99 && figures.whole.p99 && figures.p99 > 2 * figures.whole.p99 && figures.p99 > 0.01);

function ServiceRow({ service }) {
  const figures = live.get(`m/${service.service}`);
  const slow = isSlow(figures);
  const errors = figures ? figures.errors / Math.max(1, figures.calls) : 0;
  return html`<tr class="opens" onClick=${() => go(toService(service.service))}><td><a class="plain-link" href=${toService(service.service)}><b><${Name} text=${service.service} most=${36} /></b></a></td><td><${State} state=${service.state} /></td>
    <td class="num">${figures ? rate(figures.rate) : "–"}</td><td class="chart">${figures && html`<${Spark} values=${seriesOf(figures, 0)} label=${`${rate(figures.rate)} calls a second`} />`}</td>
    <td class="num p50">${latency(figures?.p50)}</td><td class=${slow ? "num s-degraded strong" : "num"}>${latency(figures?.p99)}</td>
    <td class="chart">${figures && html`<${Spark} values=${seriesOf(figures, 2)} color=${slow ? "var(--degraded)" : undefined} label=${`p99 ${latency(figures.p99)}`} />`}</td>
    <td class=${errors > 0.01 ? "num s-failed" : "num soft"}>${figures ? perCent(errors, 1) : "–"}</td><td class="num"><a href=${toService(service.service)} aria-label=${`Try ${service.service}`}>Try it</a></td></tr>`;
}

function ServiceItem({ service }) {
  const figures = live.get(`m/${service.service}`);
  return html`<a class="item" href=${toService(service.service)}><${Glyph} state=${service.state} /><span class="grow"><span class="row"><b class="cut"><${Name} text=${service.service} most=${28} /></b><span class="grow"></span><span class="meta">${figures ? `${rate(figures.rate)}/s · ${latency(figures.p99)}` : "no calls"}</span></span><span class="soft small">${service.state}</span></span></a>`;
}

export function ServicesView() {
  const services = live.all("s/").sort((a, b) => (a.service < b.service ? -1 : 1));
  const bad = services.filter((each) => each.state !== "ready").length;
  return html`<main><div class="head-line"><h1>${services.length ? plural(services.length, "service") : "No services"}</h1><span class="soft">${services.length ? (bad ? `${bad} not ready` : "all ready") : "A deployment with a ServerModule serves one."}</span></div>
    ${services.length > 0 && html`<${Services} services=${services} />`}</main>`;
}
