// The page of one service: figures, Try it, replicas, what it takes and gives.
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { scale } from "./actions.js";
import { get, service as address } from "./api.js";
import { port } from "./drawer.js";
import { Missing } from "./empty.js";
import { age, clock, count, latency, perCent, plural, rate } from "./format.js";
import { Glyph, icons } from "./glyphs.js";
import { isSlow, seriesOf } from "./home.js";
import { live } from "./live.js";
import { Badge, Copy, Name, Spark } from "./parts.js";
import { toDeployment } from "./route.js";
import { about, fields } from "./schema.js";
import { TryIt } from "./tryit.js";

export function ServiceView({ path }) {
  const service = live.get(`s/${path}`);
  const [document, setDocument] = useState(null);
  const ready = service ? service.replicas.filter((each) => each.state === "ready").length : 0;
  useEffect(() => {
    let wanted = true;
    if (ready && !document) get(`${address(path)}/openapi.json`).then((told) => { if (wanted) setDocument(told); }, () => {});
    return () => { wanted = false; };
  }, [path, ready > 0]);
  if (!service) return html`<${Missing} what="service" name=${path} />`;
  const stale = Boolean(live.stale());
  const { meaning, signature } = about(document);
  const url = `${location.origin}${address(path)}`;
  return html`<section class="deployment-head service-head" aria-label=${path}><div class="row title-row"><a class="soft crumb" href="/#/services">Services</a><span class="crumb soft">${icons.right}</span><h1 class="cut"><${Name} text=${path} most=${60} /></h1><${Badge} state=${service.state} /><span class="meta">${service.deployment}@${service.generation} · ${ready} of ${plural(service.wanted, "replica")}</span><span class="grow"></span>
      <a class="button plain" href=${toDeployment(`${service.deployment}@${service.generation}`, "tree", { m: path })}>Open in tree</a><button class="button" disabled=${stale} title=${stale ? "Not live: changes are off" : undefined} onClick=${() => scale(service)}>Scale…</button></div>
    <div class="row reason-row"><p class="grow soft" dir="auto">${meaning}</p><code class="cut">${url}</code><${Copy} text=${url} label="Copy the address" /></div></section>
    <main class="service-main"><${Figures} path=${path} /><div class="service-columns"><${TryIt} service=${service} fields=${fields(document)} document=${document} />
      <div class="cards"><${Replicas} service=${service} stale=${stale} />${signature && html`<${Takes} signature=${signature} document=${document} />`}</div></div></main>`;
}

function Figures({ path }) {
  const figures = live.get(`m/${path}`);
  const slow = isSlow(figures);
  const [p50, p99] = [latency(figures?.p50), latency(figures?.p99)];
  const errors = figures ? figures.whole.errors / Math.max(1, figures.whole.calls) : null;
  const card = (name, note, value, unit, index, color) => html`<section class="card figure" aria-label=${name}><p class="row"><span class="soft small">${name}</span><span class="grow"></span><span class="meta">${note}</span></p><p class="big-figure">${value}<small>${unit}</small></p><${Spark} values=${seriesOf(figures, index)} width=${300} height=${32} color=${color} label=${`${name}: ${value} ${unit}`} flat=${index === 3} /></section>`;
  return html`<div class="figures-row">${card("Calls", "15 min", figures ? rate(figures.rate) : "0", "/s", 0)}${card("p50", "15 min", p50.split(" ")[0], p50.split(" ")[1] || "", 1)}${card("p99", "15 min", p99.split(" ")[0], p99.split(" ")[1] || "", 2, slow ? "var(--degraded)" : undefined)}${card("Errors", figures ? `${count(figures.whole.errors)} of ${count(figures.whole.calls)}` : "no calls yet", errors == null ? "–" : perCent(errors, 1).replace("\u202f%", ""), errors == null ? "" : "%", 3, errors > 0.01 ? "var(--failed)" : undefined)}</div>`;
}

function Replicas({ service, stale }) {
  const figures = live.get(`m/${service.service}`);
  const apart = service.replicas.filter((each) => each.state !== "ready");
  return html`<section class="card"><header><h2>Replicas</h2><span class="grow"></span><span class="meta">${service.wanted} wanted${service.bounds ? ` of ${service.bounds}` : ""}</span></header><div class="scroll-x"><table class="grid"><thead><tr><th>Replica</th><th>On</th><th class="num">Calls/s</th><th class="num">p99</th><th class="num">Age</th></tr></thead><tbody>${service.replicas.map((each) => {
    const mine = figures?.replicas[each.replica];
    return html`<tr key=${each.replica}><td><span class="state"><${Glyph} state=${each.state} /><code title=${each.replica}>${each.replica.slice(0, 7)}</code></span></td><td class="soft">${each.worker}${port(each.url)}</td><td class="num">${mine ? rate(mine.rate) : "–"}</td><td class="num">${latency(mine?.p99)}</td><td class="num soft">${stale ? clock(each.since, true) : age(live.now() - each.since)}</td></tr>`;
  })}</tbody></table></div>${apart.map((each) => html`<p class="pad small soft" key=${each.replica}>${each.replica.slice(0, 7)} is ${each.state}${each.reason ? `: ${each.reason}` : ""}.</p>`)}${!service.replicas.length && html`<p class="pad small soft">${service.state === "asleep" ? "It sleeps: the first call wakes it." : "No replica is there."}</p>`}${service.why && html`<p class="pad small soft">${service.why}</p>`}</section>`;
}

function Takes({ signature, document }) {
  const known = (fields(document) || []).filter((each) => each.schema.description);
  return html`<section class="card"><header><h2>Takes and gives</h2></header><div class="pad"><pre class="well wrap" tabindex="0" aria-label="Signature">${signature}</pre>${known.length > 0 && html`<dl class="takes">${known.map((each) => html`<dt key=${each.name}>${each.name}</dt><dd>${each.schema.description}</dd>`)}</dl>`}</div></section>`;
}
