// Workers: a card each with its slots as cells, what runs in them, resources, replicas, heartbeat.
import { html } from "../vendor/htm-preact.js";
import { age, clock, lastPart, plural } from "./format.js";
import { Glyph, tone } from "./glyphs.js";
import { live } from "./live.js";
import { CodeLine, Name } from "./parts.js";
import { toDeployment } from "./route.js";

export function WorkersView() {
  const workers = live.all("w/").sort((a, b) => (a.worker < b.worker ? -1 : 1));
  const here = workers.filter((each) => each.state !== "lost");
  const taking = here.filter((each) => each.state === "ready");
  const free = taking.reduce((sum, each) => sum + Math.max(0, each.slots - each.tasks.length), 0);
  const apart = workers.filter((each) => each.state !== "ready").slice(0, 3);
  const words = apart.map((each) => `${each.worker} ${each.state === "lost" ? "is gone" : "leaves"}`).join(", ");
  const versions = here.map((each) => each.version);
  const usual = versions.sort((a, b) => versions.filter((v) => v === b).length - versions.filter((v) => v === a).length)[0];
  return html`<main><div class="head-line"><h1>${here.length ? `${plural(here.length, "worker")}, ${plural(free, "slot")} free` : "No worker is here"}</h1><span class="soft">${words}</span><span class="grow"></span><div class="row add-one"><span class="meta">Add one:</span><${CodeLine} text="rootward worker --slots 4" /></div></div>
    <div class="cards tight">${workers.map((each) => html`<${Worker} key=${each.id} worker=${each} usual=${usual} />`)}</div></main>`;
}

function heartbeat(worker) {
  if (worker.state === "lost") return live.stale() ? `since ${clock(worker.heard_at, true)}` : `for ${age(live.now() - worker.heard_at)}`;
  const at = (live.get("h") || {})[worker.id];
  if (!at) return "";
  return live.stale() ? `heard ${clock(at, true)}` : `heard ${age(live.now() - at)} ago`;
}

function Worker({ worker, usual }) {
  const lost = worker.state === "lost";
  const odd = worker.version && usual && worker.version !== usual;
  const up = worker.started_at ? ` · up ${age(live.now() - worker.started_at)}` : "";
  return html`<section class="card worker" aria-label=${worker.worker}><header><${Glyph} state=${worker.state} size=${16} /><h2 class="cut"><${Name} text=${worker.worker} most=${40} /></h2><span class=${`s-${tone(worker.state)}`}>${lost ? "not heard" : worker.state}</span><span class="soft">${heartbeat(worker)}</span><span class="grow"></span>
      <span class="meta facts">${worker.host} · pid ${worker.pid} · <span class=${odd ? "s-degraded" : ""}>rootward ${worker.version || "unknown"}</span>${lost ? "" : up}</span></header>
    ${lost ? html`<p class="pad small soft">Its lease ended. Its replicas left the registry and its tasks went back to the queue; other workers run them again.</p>` : html`<div class="worker-body"><div class="slots">${Array.from({ length: Math.min(worker.slots, 64) }, (_, i) => html`<${Slot} key=${i} task=${worker.tasks[i]} drains=${worker.state === "draining"} />`)}</div><${Holds} worker=${worker} /></div>
      ${worker.state === "draining" && html`<p class="pad small soft">It leaves: it takes nothing new${worker.tasks.length ? ` and finishes ${plural(worker.tasks.length, "task")}; what is not done in time goes to another worker` : ""}.</p>`}`}</section>`;
}

function Slot({ task, drains }) {
  if (!task) return html`<div class=${drains ? "slot closed" : "slot"}><span class="meta">${drains ? "takes nothing new" : "free"}</span></div>`;
  const id = `${task.deployment}@${task.generation}`;
  const share = task.progress?.total ? Math.min(1, task.progress.done / task.progress.total) : null;
  return html`<a class=${drains ? "slot drains" : "slot busy"} href=${toDeployment(id, "tree", { m: task.module })}><b class="row"><${Glyph} state=${drains ? "draining" : "running"} size=${12} /><span class="cut"><${Name} text=${lastPart(task.module || task.task)} most=${24} /></span></b>
    <span class="meta cut">${task.kind} · ${id}${task.started_at ? ` · ${live.stale() ? clock(task.started_at, true) : age(live.now() - task.started_at)}` : ""}</span>
    ${share != null && html`<span class="progress"><i style=${{ transform: `scaleX(${share})` }}></i></span>`}</a>`;
}

// Which device, and who has it: several where each has a share.
function Device({ device, holders }) {
  if (!holders.length) return html`<span class="chip">${device} <span class="meta">free</span></span>`;
  return html`<span class="chip">${device} ${holders.map((holder, place) => html`<span key=${place}>${place ? ", " : ""}<a href=${toDeployment(`${holder.deployment}@${holder.generation}`, "tree", { m: holder.module })}>${holder.kind === "replica" ? "" : `${holder.kind} `}${lastPart(holder.module)}</a>${holder.share < 1 ? ` (${holder.share})` : ""}</span>`)}</span>`;
}

function Holds({ worker }) {
  const resources = Object.entries(worker.resources);
  return html`<dl class="holds"><dt>Devices</dt><dd>${resources.length ? resources.map(([name, amount]) => html`<span class="chip" key=${name}>${name} <b>${amount}</b>${worker.used[name] ? html` · ${worker.used[name]} in use` : ""}</span>`) : html`<span class="meta">none</span>`}</dd>
    ${Object.entries(worker.devices).map(([name, devices]) => html`<dt key=${`t${name}`}>${name}</dt><dd key=${name}>${Object.entries(devices).map(([device, holders]) => html`<${Device} key=${device} device=${device} holders=${holders} />`)}</dd>`)}
    <dt>Holds</dt><dd>${plural(worker.replicas.length, "replica")}</dd></dl>`;
}
