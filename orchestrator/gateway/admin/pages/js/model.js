// A deployment as a tree of nodes with their tasks, made of its graph and task documents.
//
// A served module and its ServerModule are one node. The tree is made once a graph; states are
// taken anew from the tasks at each change. Pure, apart from what it keeps to compare.
import { lastPart } from "./format.js";

export const KINDS = ["train", "prepare", "deploy", "eval"];
const WORST = ["failed", "degraded", "running", "queued", "waiting", "skipped", "ready", "succeeded"];

export function buildTree(graph) {
  const parentOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
  const served = new Set(graph.services.map((each) => each.path));
  const inner = new Map();
  const known = new Set(graph.modules);
  for (const each of graph.services) if (known.has(each.inner)) inner.set(each.inner, each.path);
  const nodes = new Map();
  // Paths are children first; read backwards, parents are there before their parts.
  for (let place = graph.modules.length - 1; place >= 0; place -= 1) {
    const path = graph.modules[place];
    if (inner.has(path)) continue;
    nodes.set(path, { path, name: lastPart(path), served: served.has(path), parent: null, children: [], tasks: [], shared: [], depth: 0, order: place });
  }
  const nodeAt = (path) => nodes.get(inner.get(path) || path);
  for (const node of nodes.values()) {
    let above = parentOf(node.path);
    while (above && !nodeAt(above)) above = parentOf(above);
    node.parent = above ? nodeAt(above) : null;
    if (node.parent) node.parent.children.push(node);
  }
  const all = [...nodes.values()];
  const root = all.find((node) => !node.parent) || null;
  for (const node of all) node.children.sort((a, b) => a.order - b.order);
  const tasks = graph.tasks.map(([kind, place, after], index) => {
    const path = place < 0 ? null : graph.modules[place];
    const node = path == null ? null : nodeAt(path);
    return { index, kind, path, id: kind === "join" ? `join:${index}` : `${kind}:${path}`, after, node, doc: null };
  });
  for (const task of tasks) if (task.node) task.node.tasks.push(task);
  for (const node of all) node.tasks.sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  if (root) number(root);
  addShared(tasks);
  const byTask = new Map([...inner].map(([path, outer]) => [path, nodes.get(outer)]));
  return { nodes, all, root, tasks, byTask, createdAt: graph.created_at };
}

function number(root) {
  const stack = [root];
  while (stack.length) {
    const node = stack.pop();
    for (const child of node.children) { child.depth = node.depth + 1; stack.push(child); }
  }
}

// A module of two parents is drawn at its first path; its other parents wait for its tasks too.
function addShared(tasks) {
  for (const task of tasks) {
    if (!task.node) continue;
    for (const before of task.after) {
      const below = tasks[before].node;
      if (!below || tasks[before].kind !== task.kind || below === task.node) continue;
      let above = below.parent;
      while (above && above !== task.node) above = above.parent;
      if (!above && !task.node.shared.includes(below)) task.node.shared.push(below);
    }
  }
}

// Joins are nobody's work, and a warm-up that wasn't needed is none.
export const countsForPeople = (task) => task.kind !== "join" && !(task.kind === "prepare" && ["skipped", "cancelled"].includes(task.doc.state));

// Takes the states anew; returns the counts of tasks by state.
export function takeStates(tree, docs, isServing) {
  const counts = {};
  for (const task of tree.tasks) {
    task.doc = docs(task.index) || { state: "waiting" };
    if (countsForPeople(task)) counts[task.doc.state] = (counts[task.doc.state] || 0) + 1;
  }
  const order = [...tree.all].sort((a, b) => b.depth - a.depth);
  for (const node of order) {
    node.own = ownState(node, isServing);
    // What has no work of its own is nothing to be done.
    node.size = 1;
    node.total = node.own ? 1 : 0;
    node.done = ["succeeded", "ready"].includes(node.own) && isDone(node) ? 1 : 0;
    node.modules = node.own ? { [barState(node.own)]: 1 } : {};
    node.worst = node.own || "succeeded";
    for (const child of node.children) {
      node.size += child.size;
      node.total += child.total;
      node.done += child.done;
      for (const [state, n] of Object.entries(child.modules)) node.modules[state] = (node.modules[state] || 0) + n;
      if (WORST.indexOf(child.worst) < WORST.indexOf(node.worst)) node.worst = child.worst;
    }
    node.state = node.own || node.worst;
  }
  return counts;
}

const isDone = (node) => node.tasks.every((task) => task.kind === "prepare" || task.doc.state === "succeeded");

const barState = (state) => ({ ready: "succeeded", degraded: "failed", cancelled: "skipped" })[state] || state;

function ownState(node, isServing) {
  const states = node.tasks.map((task) => task.doc.state);
  if (!states.length) return null;
  const real = node.tasks.filter((task) => task.kind !== "prepare").map((task) => task.doc.state);
  const weigh = real.length ? real : states;
  if (real.includes("failed") || (!real.length && states.includes("failed"))) return "failed";
  if (states.includes("running")) return "running";
  if (states.includes("queued")) return "queued";
  if (weigh.every((state) => state === "succeeded")) {
    const now = node.served ? isServing(node.path) : null;
    return now || "succeeded";
  }
  if (weigh.includes("succeeded")) return "succeeded";
  if (weigh.includes("waiting")) return "waiting";
  return "skipped";
}

export function ran(task) {
  const { started_at: from, ended_at: to } = task.doc;
  return from && to ? Math.max(0, to - from) : null;
}

// The time that stands on a node: what its longest task took.
export function longest(node) {
  const times = node.tasks.map(ran).filter((each) => each != null);
  return times.length ? Math.max(...times) : null;
}

export function ancestors(node) {
  const found = [];
  for (let above = node?.parent; above; above = above.parent) found.unshift(above);
  return found;
}

export const failures = (tree) => tree.all.filter((node) => node.own === "failed").sort((a, b) => a.order - b.order);

// Which nodes are open at first: all of a small tree; of a large one the way to what failed, else
// to what runs, else the root and what is its only part.
export function openAtFirst(tree) {
  const open = new Set();
  if (!tree.root) return open;
  if (tree.all.length <= 50) {
    for (const node of tree.all) if (node.children.length) open.add(node.path);
    return open;
  }
  const aim = failures(tree)[0] || tree.all.filter((node) => node.own === "running").sort((a, b) => a.depth - b.depth)[0];
  for (const node of ancestors(aim)) open.add(node.path);
  let node = tree.root;
  open.add(node.path);
  while (node.children.length === 1) { node = node.children[0]; open.add(node.path); }
  return open;
}

export const FILTERS = [
  ["failed", "Failed", ["failed"]],
  ["skipped", "Not started", ["skipped", "cancelled"]],
  ["running", "Running", ["running"]],
  ["queued", "Queued", ["queued"]],
  ["waiting", "Waiting", ["waiting"]],
  ["done", "Done", ["succeeded"]],
];

export function matches(filter, state) {
  const found = FILTERS.find(([key]) => key === filter);
  return !found || found[2].includes(state);
}

export const nodeMatches = (filter, node) => !filter || node.tasks.some((task) => matches(filter, task.doc.state));
