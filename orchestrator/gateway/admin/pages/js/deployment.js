// One generation: its head with the reason before the state, tabs that share one selection and the
// filters, and the drawer. Everything selected is in the address.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { actionsOf } from "./actions.js";
import { get, deployment as address } from "./api.js";
import { Drawer } from "./drawer.js";
import { Missing } from "./empty.js";
import { EventsView } from "./events.js";
import { count, shortCount } from "./format.js";
import { GenerationsView, canaryWord } from "./generations.js";
import { Glyph, icons } from "./glyphs.js";
import { onKeys } from "./keys.js";
import { live } from "./live.js";
import { FILTERS, buildTree, failures, takeStates } from "./model.js";
import { Outline } from "./outline.js";
import { Badge, Bones, Menu, Name, useNarrow } from "./parts.js";
import { Reason, figures } from "./reason.js";
import { go, toDeployment } from "./route.js";
import { TableView } from "./table.js";
import { Timeline } from "./timeline.js";
import { TreeView } from "./tree.js";

const TABS = [["tree", "Tree"], ["timeline", "Timeline"], ["table", "Table"], ["events", "Events"], ["generations", "Generations"]];

export function DeploymentView({ route }) {
  const doc = live.get(`d/${route.id}`);
  const graph = live.get(`g/${route.id}`);
  const newest = route.id.includes("@") ? null : live.all("d/").filter((each) => each.name === route.id).sort((a, b) => b.generation - a.generation)[0];
  const waited = useWaited(3000);
  useEffect(() => {
    if (newest) go(toDeployment(`${newest.name}@${newest.generation}`, route.tab, route.query), true);
  }, [newest?.generation]);
  if (newest) return null;
  if (!doc) {
    if (live.docs.has(`g/${route.id}`) || waited || !route.id.includes("@")) return html`<${Missing} what="deployment" name=${route.id} />`;
    return html`<main><${Bones} rows=${6} /></main>`;
  }
  return html`<${Known} route=${route} doc=${doc} graph=${graph} />`;
}

function useWaited(ms) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setOver(true), ms);
    return () => clearTimeout(timer);
  }, []);
  return over;
}

function Known({ route, doc, graph }) {
  const { id, tab, query } = route;
  const narrow = useNarrow();
  const tree = useMemo(() => (graph ? buildTree(graph) : null), [graph]);
  const revision = live.revision;
  const counts = useMemo(() => (tree ? takeStates(tree, (index) => live.get(`t/${id}/${index}`), servingState(doc)) : doc.counts), [tree, revision]);
  // It opens with the first failure chosen; what the user closed stays closed.
  const [closed, setClosed] = useState(false);
  const chosen = query.m || (!closed && tree && !narrow && tab === "tree" ? failures(tree)[0]?.path : undefined);
  const to = (next) => toDeployment(id, next.tab ?? tab, { m: "m" in next ? next.m : query.m, f: "f" in next ? next.f : query.f });
  const choose = (path) => { setClosed(!path); go(to({ m: path || "" }), true); };
  useEffect(() => onKeys((event) => {
    const tabs = [...TABS];
    if (/^[1-5]$/.test(event.key) && tabs[event.key - 1]) { go(to({ tab: tabs[event.key - 1][0] })); return true; }
    if (event.key === "Escape" && chosen) { choose(""); return true; }
    return false;
  }), [id, tab, query.m, query.f, chosen]);
  const node = tree && chosen ? tree.nodes.get(chosen) || tree.byTask.get(chosen) : null;
  if (narrow && node) return html`<${Drawer} key=${node.path} tree=${tree} node=${node} doc=${doc} id=${id} onClose=${() => choose("")} page />`;
  const views = {
    tree: narrow ? html`<${Outline} tree=${tree} filter=${query.f} onChoose=${choose} />` : html`<${TreeView} tree=${tree} chosen=${node?.path} filter=${query.f} onChoose=${choose} />`,
    timeline: html`<${Timeline} tree=${tree} doc=${doc} chosen=${node?.path} filter=${query.f} onChoose=${choose} narrow=${narrow} />`,
    table: html`<${TableView} tree=${tree} chosen=${node?.path} filter=${query.f} onChoose=${choose} />`,
    events: html`<${EventsView} id=${id} module=${node?.path} doc=${doc} onChoose=${choose} />`,
    generations: html`<${GenerationsView} doc=${doc} />`,
  };
  // These need no plan, which isn't kept for ever.
  const planless = tab === "events" || tab === "generations";
  return html`<div class="deployment"><${Head} doc=${doc} id=${id} tab=${tab} query=${query} tree=${tree} counts=${counts} to=${to} />
    <${Announce} doc=${doc} />
    <div class=${node ? "deployment-body with-drawer" : "deployment-body"}><main class="deployment-view" id="view">${tree || planless ? (tree && tree.root) || planless ? views[tab] || views.tree : html`<p class="pad soft">The plan of this generation isn't kept any more.</p>` : html`<${Bones} rows=${6} />`}</main>
      ${node && html`<${Drawer} key=${node.path} tree=${tree} node=${node} doc=${doc} id=${id} onClose=${() => choose("")} />`}</div></div>`;
}

// The state of a module that this generation serves now: only the current one's replicas count.
function servingState(doc) {
  return (path) => {
    const service = live.get(`s/${path}`);
    if (!service || service.generation !== doc.generation) return null;
    return { ready: "ready", degraded: "degraded", unready: "degraded" }[service.state] || null;
  };
}

function Head({ doc, id, tab, query, tree, counts, to }) {
  const narrow = useNarrow();
  const stale = live.stale();
  const actions = actionsOf(doc);
  const word = doc.generation === doc.current ? "current" : doc.generation === doc.canary ? "canary" : doc.generation === doc.latest && ["pending", "progressing"].includes(doc.state) && doc.current ? "next" : doc.generation === doc.latest ? "latest" : "kept";
  const disabled = Boolean(stale);
  const why = stale ? "Not live: changes are off" : undefined;
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
  const numbers = { tree: tree?.all.length, table: total, generations: doc.latest };
  return html`<section class="deployment-head" aria-label=${id}><div class="row title-row"><a class="soft crumb" href="/#">Deployments</a><span class="crumb soft">${icons.right}</span><h1 class="cut"><${Name} text=${doc.name} most=${48} /></h1>
      <${Generations} doc=${doc} word=${word} tab=${tab} /><${Badge} state=${doc.state} />${doc.generation === doc.canary && html`<${Badge} state="canary" word=${canaryWord(doc.percent)} />`}<span class="grow"></span>
      ${narrow ? html`<${Menu} label="More…" className="button" >${actions.map((each) => html`<li key=${each.key}><button disabled=${disabled} onClick=${each.ask}>${each.text}</button></li>`)}<li><a href=${to({ tab: "events" })}>Events</a></li><li><a href=${to({ tab: "generations" })}>Generations</a></li></${Menu}>` : actions.map((each) => html`<button key=${each.key} class=${`button ${each.main ? "main" : ""} ${each.risky ? "risky" : ""}`} disabled=${disabled} title=${why} onClick=${each.ask}>${each.key === "resume" && icons.again}${each.text}</button>`)}</div>
    <div class="row reason-row"><p class="grow"><${Reason} doc=${doc} tree=${tree} /></p><p class="meta figures">${figures(doc, tree)}</p></div>
    <div class="row tabs-row"><nav class="tabs" aria-label="Views of the deployment">${TABS.map(([key, text]) => html`<a key=${key} href=${to({ tab: key })} aria-current=${tab === key ? "page" : undefined}>${text}${numbers[key] ? html` <span>${shortCount(numbers[key])}</span>` : null}</a>`)}</nav><span class="grow"></span>
      ${tab !== "events" && tab !== "generations" && html`<${Chips} counts=${counts} total=${total} filter=${query.f} to=${to} />`}</div></section>`;
}

function Chips({ counts, total, filter, to }) {
  const sum = (states) => states.reduce((n, state) => n + (counts[state] || 0), 0);
  const shown = FILTERS.filter(([, , states]) => sum(states));
  return html`<div class="chips" role="group" aria-label="Filter">${shown.map(([key, text, states]) => html`<button class="chip" key=${key} aria-pressed=${String(filter === key)} onClick=${() => go(to({ f: filter === key ? "" : key }), true)}><${Glyph} state=${states[0]} size=${13} />${text} <b>${count(sum(states))}</b></button>`)}
    <button class="chip" aria-pressed=${String(!filter)} onClick=${() => go(to({ f: "" }), true)}>All <b>${count(total)}</b></button></div>`;
}

// The generations that lists know: the newest and the current one, and, when asked for, older ones.
function Generations({ doc, word, tab }) {
  const known = live.all("d/").filter((each) => each.name === doc.name).map((each) => each.generation);
  const older = Array.from({ length: Math.min(10, doc.latest) }, (_, i) => doc.latest - i);
  const all = [...new Set([...known, ...older])].sort((a, b) => b - a);
  return html`<${Menu} className="chip generation" title="Generations" label=${html`<span>@${doc.generation}</span><span class="meta">${word}</span>`}>${all.map((number) => html`<li key=${number}><a href=${toDeployment(`${doc.name}@${number}`, tab)}>@${number}<span class="meta">${number === doc.current ? "current" : number === doc.canary ? "canary" : number === doc.latest ? "latest" : ""}</span></a></li>`)}</${Menu}>`;
}

// Screen readers hear changes of the state, not each task; failures at once.
function Announce({ doc }) {
  const said = useRef("");
  const [text, setText] = useState("");
  useEffect(() => {
    const now = `${doc.name} at ${doc.generation} is ${doc.state}`;
    if (said.current && said.current !== now) setText(now);
    said.current = now;
  }, [doc.state]);
  return html`<span class="hidden-text" role=${doc.state === "failed" ? "alert" : "status"}>${text}</span>`;
}

export const history = (id, params) => get(`${address(id)}/history`, params);
