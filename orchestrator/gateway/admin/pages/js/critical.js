// The critical path of a generation: of a finished one as measured, of a running one as it stands;
// and what one more slot would have saved. Pure functions of the tasks.

// The chain of tasks, first to last, each of which held the next one back longest.
export function criticalPath(tree) {
  const real = tree.tasks.filter((task) => task.kind !== "join" && task.kind !== "prepare");
  const ended = real.filter((task) => task.doc.ended_at && task.doc.started_at);
  const open = real.filter((task) => ["waiting", "queued", "running"].includes(task.doc.state));
  let last = open.length ? open[open.length - 1] : ended.sort((a, b) => b.doc.ended_at - a.doc.ended_at)[0];
  const path = [];
  const seen = new Set();
  while (last && !seen.has(last.index)) {
    seen.add(last.index);
    if (last.doc.started_at || open.length) path.unshift(last);
    last = holder(tree, last);
  }
  return path;
}

function holder(tree, task) {
  let best = null;
  const seen = new Set();
  const stack = [...task.after];
  while (stack.length) {
    const index = stack.pop();
    if (seen.has(index)) continue;
    seen.add(index);
    const before = tree.tasks[index];
    if (before.kind === "join") stack.push(...before.after);
    else if (!best || weight(before) > weight(best)) best = before;
  }
  return best;
}

// What hasn't ended holds back more than what has; what runs since longer ends later, for all we know.
function weight(task) {
  if (task.doc.ended_at) return task.doc.ended_at;
  if (task.doc.started_at) return 1e11 - task.doc.started_at / 10;
  return 1e12;
}

export function nodesOf(path) {
  return new Set(path.map((task) => task.node).filter(Boolean));
}

// Parts of the critical path in order: what ran, and what waited for a slot.
export function strip(path) {
  const parts = [];
  for (const task of path) {
    const { queued_at: queued, started_at: from, ended_at: to } = task.doc;
    if (!from || !to) continue;
    if (queued && from - queued > 0.05) parts.push({ slot: true, seconds: from - queued, task });
    parts.push({ slot: false, seconds: to - from, task });
  }
  return parts;
}

export function span(tree) {
  const times = tree.tasks.filter((task) => task.kind !== "join").map((task) => task.doc);
  const begins = times.map((doc) => doc.queued_at || doc.started_at).filter(Boolean);
  const ends = times.map((doc) => doc.ended_at || doc.started_at).filter(Boolean);
  const from = Math.min(tree.createdAt || Infinity, ...begins);
  return { from: isFinite(from) ? from : 0, to: Math.max(from, ...ends) };
}

// How long it would take with so many slots: tasks in the order of the plan, each as early as may be.
export function simulate(tree, slots) {
  const ends = new Array(tree.tasks.length).fill(0);
  const free = new Array(Math.max(1, slots)).fill(0);
  const left = [];
  for (const task of tree.tasks) {
    const ready = Math.max(0, ...task.after.map((index) => ends[index]));
    const { started_at: from, ended_at: to } = task.doc;
    if (task.kind === "join" || !from || !to) { ends[task.index] = ready; continue; }
    let best = 0;
    for (let i = 1; i < free.length; i += 1) if (Math.max(free[i], ready) < Math.max(free[best], ready)) best = i;
    const begin = Math.max(free[best], ready);
    ends[task.index] = begin + (to - from);
    free[best] = ends[task.index];
    left.push(ends[task.index]);
  }
  return Math.max(0, ...left);
}

// Lanes of each worker: the slot that a task says, else the first that was free.
export function lanes(tree) {
  const workers = new Map();
  const tasks = tree.tasks.filter((task) => task.kind !== "join" && task.doc.started_at && task.doc.worker);
  tasks.sort((a, b) => a.doc.started_at - b.doc.started_at);
  for (const task of tasks) {
    const worker = task.doc.worker;
    if (!workers.has(worker)) workers.set(worker, []);
    const rows = workers.get(worker);
    let row = task.doc.slot != null ? task.doc.slot : rows.findIndex((lane) => lane && (lane[lane.length - 1].doc.ended_at || Infinity) <= task.doc.started_at + 0.002);
    if (row < 0) row = rows.length;
    rows[row] = rows[row] || [];
    rows[row].push(task);
  }
  return [...workers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([worker, rows]) => ({ worker, rows: Array.from(rows, (row) => row || []) }));
}
