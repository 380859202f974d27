// All generations of a deployment: how calls are shared with a canary, what each scored, and the way
// back. What a promotion or a way back will do is asked before it is done.
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { deployment, get, post } from "./api.js";
import { ask } from "./dialogs.js";
import { count, duration, fullTime, lastPart, latency, perCent, plural } from "./format.js";
import { live } from "./live.js";
import { Bones, Name, Since, State } from "./parts.js";
import { toDeployment } from "./route.js";

const EACH_MS = 2000;

export function GenerationsView({ doc }) {
  const [told, setTold] = useState(null);
  const [error, setError] = useState("");
  const stale = Boolean(live.stale());
  useEffect(() => {
    let timer = null;
    let over = false;
    const load = async () => {
      try {
        const found = await get(`${deployment(doc.name)}/generations`);
        if (over) return;
        setTold(found);
        setError("");
        // While calls are counted, more come; else a change of the deployment says so.
        if (found.canary) timer = setTimeout(load, EACH_MS);
      } catch (problem) {
        if (!over) setError(problem.message);
      }
    };
    if (!stale) load();
    return () => { over = true; clearTimeout(timer); };
  }, [doc.name, doc.current, doc.canary, doc.latest, doc.state, stale]);
  if (!told) return error ? html`<p class="pad wrong-note">${error}</p>` : html`<${Bones} rows=${8} />`;
  return html`<div class="table-scroll generations" tabindex="0" aria-label="Generations">
    ${told.canary && html`<${Shares} name=${doc.name} shared=${told.canary} />`}
    <${History} doc=${doc} told=${told} stale=${stale} /></div>`;
}

function Shares({ name, shared }) {
  const { canary, current } = shared;
  const label = `@${current.generation} gets ${current.percent} % of the calls, @${canary.generation} ${canary.percent} %`;
  const baked = shared.bake_s ? Math.min(1, shared.baked_s / shared.bake_s) : null;
  return html`<section class="card shares" aria-label="Share of calls"><div><h2>Share of calls</h2>
      <p class="share-bar" role="img" aria-label=${label}><span class="share-current" style=${{ flexGrow: current.percent, flexBasis: 0 }}>@${current.generation} current · ${current.percent} %</span><span class="share-canary" style=${{ flexGrow: canary.percent, flexBasis: 0 }}>@${canary.generation} · ${canary.percent} %</span></p>
      ${baked != null && html`<p class="row"><span class="bake-bar"><i style=${{ transform: `scaleX(${baked})` }}></i></span><span class="meta">baked ${duration(Math.min(shared.baked_s, shared.bake_s))} of ${duration(shared.bake_s)}</span></p>`}
      <p class="soft" dir="auto">${name}@${canary.generation}: ${shared.reason}</p></div>
    <${Compared} title="Errors" canary=${canary} current=${current} value=${(each) => (each.error_rate == null ? "–" : perCent(each.error_rate, 1))} note=${`${shared.limit == null ? "no limit set" : `limit ${perCent(shared.limit, 1)}`} · ${plural(canary.calls, "call")} to @${canary.generation}`} />
    <${Compared} title="p99" canary=${canary} current=${current} value=${(each) => latency(each.p99)} note=${`${plural(current.calls, "call")} to @${current.generation}`} /></section>`;
}

const Compared = ({ title, canary, current, value, note }) => html`<div><h2>${title}</h2><dl class="row compared">${[canary, current].map((each) => html`<div key=${each.generation}><dt class="meta">@${each.generation}</dt><dd>${value(each)}</dd></div>`)}</dl><p class="meta">${note}</p></div>`;

function History({ doc, told, stale }) {
  const modules = [...new Set(told.generations.flatMap((each) => each.evaluations.map((one) => one.module)))].slice(0, 4);
  const current = told.generations.find((each) => each.current);
  const canary = told.canary?.canary.generation;
  return html`<section class="card" aria-label="History"><header><h2>History</h2><span class="grow"></span>${modules.length > 0 && html`<span class="meta">scores of the evaluation sets</span>`}</header>
    <div class="scroll-x" tabindex="0" aria-label="Generations and their scores"><table class="grid"><thead><tr><th><span class="hidden-text">Generation</span></th><th>State</th><th>How it came</th>${modules.map((path) => html`<th key=${path} class="num"><${Name} text=${lastPart(path)} most=${20} /></th>`)}<th><span class="hidden-text">Changes</span></th></tr></thead>
    <tbody>${told.generations.map((each) => html`<tr key=${each.generation} class=${each.generation === doc.generation ? "chosen" : ""}><td><a href=${toDeployment(`${doc.name}@${each.generation}`, "generations")}><b>@${each.generation}</b></a></td>
      <td><${State} state=${each.current ? "current" : each.generation === canary ? "canary" : each.state} /></td><td>${each.how}<br /><span class="meta" title=${fullTime(each.created_at)}><${Since} at=${each.created_at} />${" ago"}${each.by ? ` by ${each.by}` : ""}</span></td>
      ${modules.map((path) => html`<${Score} key=${path} one=${scoreOf(each, path)} current=${each.current ? null : scoreOf(current, path)} />`)}
      <td class="num"><${Act} doc=${doc} each=${each} canary=${canary} current=${current} stale=${stale} /></td></tr>`)}</tbody></table></div>
    <p class="pad meta">▲ ▼ against the current generation. A way back makes a new generation of the old states, without training.</p></section>`;
}

const scoreOf = (each, path) => each?.evaluations.find((one) => one.module === path)?.result;

function Score({ one, current }) {
  if (typeof one !== "number") return html`<td class="num soft">${one == null ? "–" : String(one).slice(0, 12)}</td>`;
  const apart = typeof current === "number" ? one - current : 0;
  const figure = Number(Math.abs(apart).toPrecision(2));
  return html`<td class="num">${Number(one.toPrecision(4))}${apart ? html` <span class=${apart > 0 ? "s-ready" : "s-failed"}>${apart > 0 ? "▲" : "▼"} ${figure}</span>` : null}</td>`;
}

function Act({ doc, each, canary, current, stale }) {
  const why = stale ? "Not live: changes are off" : undefined;
  if (each.generation === canary) return html`<span class="soft">compared</span>`;
  if (each.current) return canary ? html`<span class="soft">with this</span>` : null;
  if (!each.can_roll_back || canary) return null;
  return html`<button class="button small" disabled=${stale} title=${why} onClick=${() => rollBack(doc.name, each.generation, current?.generation)}>Roll back…</button>`;
}

export function promote(name, canary, current) {
  ask({
    title: `Promote ${name}@${canary}?`,
    stops: true,
    points: [
      `${name}@${canary} gets all calls from outside, in one step.`,
      current ? `${name}@${current} ends what it has begun, and stops.` : null,
    ],
    verb: `Promote ${name}@${canary}`,
    act: async () => { await post(`${deployment(name)}/promote`); return `${name}@${canary} is current.`; },
  });
}

export function takeBack(name, canary, current) {
  ask({
    title: `Roll back to ${name}@${current}?`,
    stops: true,
    points: [
      `${name}@${current} gets all calls again; it has served all along.`,
      `${name}@${canary} ends what it has begun, and stops. It stays in the history.`,
    ],
    verb: `Roll back to @${current}`,
    act: async () => { await post(`${deployment(name)}/rollback`); return `${name}@${canary} gets no more calls.`; },
  });
}

function rollBack(name, generation, current) {
  ask({
    title: `Roll back to ${name}@${generation}?`,
    points: [
      "A new generation begins with its tree, code and states; nothing is trained.",
      current ? `${name}@${current} serves until that is ready, and if it fails.` : null,
    ],
    verb: `Roll back to @${generation}`,
    act: async () => { await post(`${deployment(name)}/rollback`, { to: generation }); return `${name} goes back to @${generation}.`; },
  });
}

export const canaryWord = (percent) => `canary ${count(percent)} %`;
