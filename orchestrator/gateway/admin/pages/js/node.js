// One node of the tree: compact with a strip of its tasks, or large with a line a task. It draws
// itself anew only when something that it shows has changed.
import { Component, html } from "../vendor/htm-preact.js";
import { age, duration, middle, stateWord } from "./format.js";
import { Glyph, icons } from "./glyphs.js";
import { live } from "./live.js";
import { longest, ran } from "./model.js";
import { Bar } from "./parts.js";

const SHORT = { waiting: "waits for others", queued: "for a slot", skipped: "not started" };

// What stands at the right of a compact node.
export function nodeMeta(node, closed) {
  if (closed) return `${node.done}/${node.total}`;
  if (node.own === "skipped") return "not started";
  if (node.own === "waiting" || node.own === "queued") return node.own;
  const running = node.tasks.find((task) => task.doc.state === "running");
  if (running) return running.doc.progress?.total ? `${Math.round((100 * running.doc.progress.done) / running.doc.progress.total)} %` : running.kind;
  const time = longest(node);
  return time == null ? "" : duration(time);
}

export function taskWords(task, node) {
  const doc = task.doc;
  switch (doc.state) {
    case "succeeded": return `${duration(ran(task))}${doc.worker ? ` on ${doc.worker}` : ""}`;
    case "failed": return `failed after ${duration(ran(task))}`;
    case "running": return doc.progress?.total ? `${Math.round((100 * doc.progress.done) / doc.progress.total)} %` : `on ${doc.worker || "a worker"}`;
    case "queued": return doc.queued_at ? `for a slot, ${age(live.now() - doc.queued_at)}` : "for a slot";
    case "waiting": return waitsFor(task, node);
    default: return SHORT[doc.state] || doc.state;
  }
}

export function waitsFor(task, node) {
  if (task.kind === "prepare") return node?.tasks.some((each) => each.kind === "train") ? "after its training" : "after the trainings below it";
  if (task.kind === "deploy") return node?.children.length ? `after ${node.children.length} below it` : "after all trainings";
  if (task.kind === "eval") return "after all are deployed";
  return node?.children.length ? "after what is below it" : "for others";
}

const signature = (props) => {
  const { node } = props;
  const tasks = node.tasks.map((task) => `${task.doc.state}${task.doc.ended_at || ""}${task.doc.progress?.done ?? ""}`).join();
  const ticks = props.large && node.tasks.some((task) => task.doc.state === "queued") ? Math.round(live.now()) : "";
  return `${node.state}|${node.worst}|${node.done}/${node.total}|${tasks}|${props.closed}|${props.chosen}|${props.critical}|${props.dim}|${props.focus}|${props.large}|${props.box.x},${props.box.y}|${ticks}`;
};

export class Node extends Component {
  shouldComponentUpdate(next) {
    const now = signature(next);
    const same = now === this.drawn && next.node === this.props.node && next.onChoose === this.props.onChoose;
    this.drawn = now;
    return !same;
  }

  render({ node, box, closed, large, chosen, critical, dim, focus, onChoose, onToggle, open }) {
    const state = closed ? node.worst : node.state;
    const words = `${node.name}, ${stateWord(state)}${closed ? `, ${node.done} of ${node.total} done` : ""}${longest(node) != null ? `, ${duration(longest(node))}` : ""}`;
    const names = ["node", large ? "large" : "", closed ? "group" : "", chosen ? "chosen" : "", critical ? "critical" : "", dim ? "dim" : "", `n-${state}`].join(" ");
    return html`<div class=${names} role="treeitem" id=${`node-${node.order}`} data-path=${node.path} aria-level=${node.depth + 1} aria-selected=${String(Boolean(chosen))} aria-expanded=${node.children.length ? String(open) : undefined} aria-label=${words} tabindex=${focus ? 0 : -1}
      style=${{ left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` }} onClick=${() => onChoose(node)} onDblClick=${() => onToggle(node)} title=${node.path}>
      <span class="node-head"><${Glyph} state=${state} size=${large ? 14 : 13} /><bdi class="node-name" dir="auto">${middle(node.name, large ? 24 : 18)}</bdi>${large && node.served && html`<span class="meta">served</span>`}<span class="grow"></span><span class="node-meta">${large ? "" : nodeMeta(node, closed)}</span>${node.children.length > 0 && !large && html`<button class="twist" tabindex="-1" aria-label=${open ? `Close ${node.name}` : `Open ${node.name}`} onClick=${(event) => { event.stopPropagation(); onToggle(node); }}>${open ? icons.down : icons.right}</button>`}</span>
      ${large ? html`<span class="node-tasks">${node.tasks.map((task) => html`<${TaskLine} key=${task.index} task=${task} node=${node} />`)}${!node.tasks.length && html`<span class="node-task meta">no work of its own</span>`}</span>` : closed ? html`<${Bar} counts=${node.modules} thin />` : html`<${Strip} node=${node} />`}
    </div>`;
  }
}

function TaskLine({ task, node }) {
  const doc = task.doc;
  const share = doc.state === "running" && doc.progress?.total ? Math.min(1, doc.progress.done / doc.progress.total) : null;
  return html`<span class="node-task"><span class="kind">${task.kind}</span><${Glyph} state=${doc.state} size=${11} /><span class="cut">${taskWords(task, node)}</span>${share != null && html`<span class="grow"></span><span class="progress"><i style=${{ transform: `scaleX(${share})` }}></i></span>`}</span>`;
}

// Its tasks in order: train, prepare, deploy, eval; only those that it has.
const Strip = ({ node }) => html`<span class="strip" aria-hidden="true">${node.tasks.filter((task) => task.kind !== "prepare").map((task) => html`<i key=${task.index} class=${`b-${task.doc.state === "cancelled" ? "skipped" : task.doc.state}`}></i>`)}</span>`;
