// The tree on a phone: an indented list, 36 a row, 18 a level (half of it above six levels).
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { duration, middle, stateWord } from "./format.js";
import { Glyph, icons } from "./glyphs.js";
import { visible } from "./layout.js";
import { longest, nodeMatches, openAtFirst } from "./model.js";
import { onKeys } from "./keys.js";
import { nodeMeta } from "./node.js";
import { keys } from "./tree.js";

export function Outline({ tree, filter, onChoose }) {
  const [open, setOpen] = useState(() => openAtFirst(tree));
  const nodes = visible(tree.root, open).filter((node) => !filter || nodeMatches(filter, node));
  const deepest = Math.max(0, ...nodes.map((node) => node.depth));
  const level = deepest > 6 ? 9 : 18;
  const toggle = (node) => {
    const next = new Set(open);
    if (next.has(node.path)) next.delete(node.path);
    else next.add(node.path);
    setOpen(next);
  };
  useEffect(() => onKeys((event) => keys(event, { tree, node: null, nodes, open, toggle, onChoose })), [open]);
  return html`<div class="outline card" role="tree" aria-label="Modules">${nodes.slice(0, 2000).map((node) => {
    const group = node.children.length > 0;
    const closed = group && !open.has(node.path);
    const state = closed ? node.worst : node.state;
    const meta = node.own === "failed" ? `failed after ${duration(longest(node))}` : nodeMeta(node, closed);
    return html`<div key=${node.path} class=${`outline-row n-${state}`} role="treeitem" aria-level=${node.depth + 1} aria-expanded=${group ? String(!closed) : undefined} aria-label=${`${node.name}, ${stateWord(state)}, ${meta}`} tabindex="0" title=${node.path} style=${{ paddingLeft: `${10 + node.depth * level}px` }} onClick=${() => onChoose(node.path)}>
      <${Glyph} state=${state} size=${13} /><bdi class="cut" dir="auto">${middle(node.name, 28)}</bdi><span class="grow"></span><span class=${node.own === "failed" ? "s-failed small" : "meta"}>${meta}</span>
      ${group ? html`<button class="twist" tabindex="-1" aria-label=${closed ? `Open ${node.name}` : `Close ${node.name}`} onClick=${(event) => { event.stopPropagation(); toggle(node); }}>${closed ? icons.right : icons.down}</button>` : html`<span class="twist"></span>`}</div>`;
  })}</div>`;
}
