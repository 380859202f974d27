// A tree with many siblings: its open nodes as cards of tiles, one below the other, the way to
// them at the left. Tiles of what has no parts are a line high.
import { html, useState } from "../vendor/htm-preact.js";
import { duration, middle, plural, stateWord } from "./format.js";
import { Glyph } from "./glyphs.js";
import { needsTiles } from "./layout.js";
import { ancestors, longest, nodeMatches } from "./model.js";
import { Node, nodeMeta } from "./node.js";
import { Bar, Segments } from "./parts.js";

const ORDERS = [["tree", "Tree order"], ["failed", "Failed first"], ["slow", "Slowest first"]];
const RANK = ["failed", "degraded", "running", "queued", "waiting", "skipped", "ready", "succeeded"];

export function Tiles({ tree, nodes, open, chosen, filter, emphasised, onChoose, onToggle, openAll }) {
  const [order, setOrder] = useState("tree");
  const first = needsTiles(nodes, open);
  const way = ancestors(first);
  const cards = nodes.filter((node) => open.has(node.path) && node.children.length && (node === first || !way.includes(node)));
  const focus = chosen || tree.root;
  return html`<div class="tiles" tabindex="-1"><div class="tiles-way" role="tree" aria-label="The way to the root">${way.map((node, i) => html`<${Node} key=${node.path} node=${node} box=${{ x: 0, y: 24 + i * 57, width: 163, height: 38 }} open=${true} closed=${false} chosen=${node === chosen} focus=${node === focus} critical=${emphasised.has(node)} onChoose=${onChoose} onToggle=${onToggle} />`)}</div>
    <div class="tile-cards">${cards.map((node, i) => html`<${Card} key=${node.path} node=${node} order=${order} isFirst=${i === 0} setOrder=${setOrder} chosen=${chosen} focus=${focus} open=${open} filter=${filter} emphasised=${emphasised} onChoose=${onChoose} onToggle=${onToggle} openAll=${openAll} />`)}</div></div>`;
}

function Card({ node, order, isFirst, setOrder, chosen, focus, open, filter, emphasised, onChoose, onToggle, openAll }) {
  const sorted = [...node.children];
  if (order === "failed") sorted.sort((a, b) => RANK.indexOf(a.worst) - RANK.indexOf(b.worst) || a.order - b.order);
  if (order === "slow") sorted.sort((a, b) => (longest(b) || 0) - (longest(a) || 0));
  const groups = node.children.filter((each) => each.children.length).length;
  const small = groups === 0;
  const failed = node.modules.failed || 0;
  const told = isFirst ? `${groups ? `${plural(groups, "group")}, ` : ""}${plural(node.size - 1, "module")}` : `open · ${node.done} done${failed ? `, ${failed} failed` : ""}`;
  return html`<section class="card tile-card" aria-label=${node.name}><header>${!isFirst && html`<${Glyph} state=${node.worst} />`}<h2 dir="auto" title=${node.path}>${middle(node.name, 40)}</h2><span class="meta">${told}</span><span class="grow"></span>
    ${isFirst ? html`<${Segments} label="Order" value=${order} onChange=${setOrder} options=${ORDERS} /><button class="button small" onClick=${openAll}>Open all</button>` : html`<button class="button plain small" onClick=${() => onToggle(node)}>Close</button>`}</header>
    <div class=${small ? "tile-grid small" : "tile-grid"} role="tree" aria-label=${`Parts of ${node.name}`}>${sorted.map((each) => html`<${Tile} key=${each.path} node=${each} chosen=${each === chosen} isOpen=${open.has(each.path)} focus=${each === focus} critical=${emphasised.has(each)} dim=${Boolean(filter) && !anyMatches(filter, each)} onChoose=${onChoose} onToggle=${onToggle} />`)}</div></section>`;
}

function anyMatches(filter, node) {
  return nodeMatches(filter, node) || node.children.some((child) => anyMatches(filter, child));
}

function Tile({ node, chosen, isOpen, focus, critical, dim, onChoose, onToggle }) {
  const group = node.children.length > 0;
  const state = group ? node.worst : node.state;
  const names = ["tile", `n-${state}`, chosen ? "chosen" : "", isOpen ? "is-open" : "", dim ? "dim" : "", critical ? "critical" : ""].join(" ");
  const choose = () => { onChoose(node); if (group && !isOpen) onToggle(node); };
  const time = longest(node);
  return html`<div class=${names} role="treeitem" id=${`node-${node.order}`} aria-level=${node.depth + 1} aria-selected=${String(chosen)} aria-expanded=${group ? String(isOpen) : undefined} aria-label=${`${node.name}, ${stateWord(state)}, ${group ? `${node.done} of ${node.total} done` : duration(time)}`} tabindex=${focus ? 0 : -1} title=${node.path} onClick=${choose}>
    <span class="node-head"><${Glyph} state=${state} size=${13} /><bdi class="node-name" dir="auto">${middle(node.name, 18)}</bdi><span class="grow"></span><span class="node-meta">${group ? `${node.done}/${node.total}` : nodeMeta(node, false) || (node.served ? "served" : "")}</span></span>${group && html`<${Bar} counts=${node.modules} thin />`}</div>`;
}

