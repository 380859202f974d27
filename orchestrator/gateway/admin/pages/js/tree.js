// The tree, read rootward: root left, parts right. Pan by scrolling or dragging, zoom, keyboard,
// the way to what failed or the critical path. Above 12 closed siblings it is tiles in cards.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import { Glyph, icons } from "./glyphs.js";
import { onKeys } from "./keys.js";
import { edge, needsTiles, place, visible } from "./layout.js";
import { ancestors, failures, nodeMatches, openAtFirst } from "./model.js";
import { criticalPath, nodesOf } from "./critical.js";
import { Node } from "./node.js";
import { Tiles } from "./tiles.js";

const STEPS = [0.25, 0.35, 0.5, 0.6, 0.75, 0.9, 1, 1.25, 1.5, 2];
const LARGE_UP_TO = 12;

export function TreeView({ tree, chosen, filter, onChoose }) {
  const [open, setOpen] = useState(() => openAtFirst(tree));
  const [asked, setAsked] = useState(null);
  const failed = failures(tree);
  const critical = asked ?? failed.length === 0;
  const node = chosen ? tree.nodes.get(chosen) : null;
  // The way to what is chosen is open, however it was chosen.
  useEffect(() => {
    const way = ancestors(node).filter((each) => !open.has(each.path));
    if (way.length) setOpen(new Set([...open, ...way.map((each) => each.path)]));
  }, [chosen]);
  const toggle = (each) => {
    if (!each.children.length) return;
    const next = new Set(open);
    if (next.has(each.path)) next.delete(each.path);
    else next.add(each.path);
    setOpen(next);
  };
  const openAll = () => setOpen(new Set(tree.all.filter((each) => each.children.length).map((each) => each.path)));
  const nodes = visible(tree.root, open);
  const tiles = needsTiles(nodes, open);
  useEffect(() => onKeys((event) => keys(event, { tree, node, nodes, open, toggle, onChoose, setCritical: () => setAsked(!critical) })), [tree, node, open, critical]);
  const emphasised = critical ? nodesOf(criticalPath(tree)) : new Set();
  const props = { tree, open, chosen: node, filter, critical, emphasised, onChoose: (each) => onChoose(each.path), onToggle: toggle, openAll };
  const legend = html`<${Legend} nodes=${nodes} open=${open} critical=${critical} failed=${failed.length} large=${!tiles && nodes.length <= LARGE_UP_TO} />`;
  return tiles ? html`<div class="canvas"><${Tiles} ...${props} nodes=${nodes} />${legend}<${CriticalButton} critical=${critical} onClick=${() => setAsked(!critical)} /></div>`
    : html`<${Canvas} ...${props} nodes=${nodes} legend=${legend} onCritical=${() => setAsked(!critical)} />`;
}

function Canvas({ tree, nodes, open, chosen, filter, critical, emphasised, onChoose, onToggle, legend, onCritical }) {
  const [zoom, setZoom] = useState(null);
  const box = useRef(null);
  const large = nodes.length <= LARGE_UP_TO;
  const key = nodes.map((each) => `${each.order}${open.has(each.path) ? "+" : ""}${large ? each.tasks.length : ""}`).join();
  const placed = useMemo(() => place(tree.root, open, large), [tree, key, large]);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const watcher = new ResizeObserver(() => setWidth(box.current.clientWidth));
    watcher.observe(box.current);
    setWidth(box.current.clientWidth);
    return () => watcher.disconnect();
  }, []);
  // Fit to the width at first, never below 60 %.
  const fit = Math.max(0.6, Math.min(1, width ? width / placed.width : 1));
  const scale = zoom ?? fit;
  useEffect(() => onKeys((event) => {
    if (event.key === "+" || event.key === "=") { setZoom(next(scale, 1)); return true; }
    if (event.key === "-") { setZoom(next(scale, -1)); return true; }
    if (event.key === "0") { setZoom(null); return true; }
    return false;
  }), [scale]);
  useEffect(() => {
    const element = chosen && box.current.querySelector(`#node-${chosen.order}`);
    if (element) reveal(box.current, placed.boxes.get(chosen), scale);
  }, [chosen, key]);
  const way = new Set(critical ? [] : failures(tree).flatMap((each) => [each, ...ancestors(each)]));
  const detail = scale < 0.35 ? "tiny" : scale < 0.6 ? "small" : "";
  const height = Math.max(placed.height * scale, 10);
  return html`<div class="canvas"><div class="canvas-scroll" ref=${box} tabindex="0" aria-label="Tree of modules" onPointerDown=${(event) => drag(event, box.current)}>
    <div class="canvas-size" style=${{ width: `${placed.width * scale}px`, height: `${height}px` }}><div class=${`layer ${detail}`} role="tree" aria-label="Modules" style=${{ transform: `scale(${scale})`, width: `${placed.width}px`, height: `${placed.height}px` }}>
      <${Edges} placed=${placed} open=${open} way=${way} emphasised=${emphasised} large=${large} />
      ${large && placed.nodes.length > 1 && html`<${Layers} placed=${placed} />`}
      ${placed.nodes.map((each) => html`<${Node} key=${each.path} node=${each} box=${placed.boxes.get(each)} large=${large} open=${open.has(each.path)} closed=${each.children.length > 0 && !open.has(each.path)} chosen=${each === chosen} focus=${chosen ? each === chosen : each === tree.root} critical=${emphasised.has(each)} dim=${Boolean(filter) && !nodeMatches(filter, each)} onChoose=${onChoose} onToggle=${onToggle} />`)}
    </div></div></div>
    ${legend}<div class="zoom" role="group" aria-label="Zoom"><button class="button small" aria-pressed=${String(critical)} onClick=${onCritical}>Critical path <kbd>C</kbd></button><button class="icon small" aria-label="Smaller" onClick=${() => setZoom(next(scale, -1))}>−</button><span class="meta">${Math.round(scale * 100)} %</span><button class="icon small" aria-label="Larger" onClick=${() => setZoom(next(scale, 1))}>+</button><button class="icon small" aria-label="Fit" onClick=${() => setZoom(null)}>${icons.fit}</button></div></div>`;
}

const next = (scale, by) => (by > 0 ? STEPS.find((each) => each > scale + 0.01) || 2 : [...STEPS].reverse().find((each) => each < scale - 0.01) || 0.25);

const CriticalButton = ({ critical, onClick }) => html`<div class="zoom"><button class="button small" aria-pressed=${String(critical)} onClick=${onClick}>Critical path <kbd>C</kbd></button></div>`;

const LAYERS = ["The root, deployed last", "Its parts, before it", "Their parts, before them"];
const Layers = ({ placed }) => {
  const columns = [...new Set(placed.nodes.map((node) => placed.boxes.get(node).x))].sort((a, b) => a - b).slice(0, 3);
  return columns.map((x, i) => html`<span class="layer-name" key=${x} style=${{ left: `${x}px` }}>${LAYERS[i]}</span>`);
};

function Edges({ placed, open, way, emphasised, large }) {
  const quiet = [];
  const strong = [];
  for (const node of placed.nodes) {
    const from = placed.boxes.get(node);
    if (open.has(node.path)) {
      for (const child of node.children) {
        const isWay = way.has(child) && way.has(node);
        const isCritical = emphasised.has(child) && emphasised.has(node);
        const holds = holdsBack(child, node);
        const d = edge(from, placed.boxes.get(child));
        const name = isWay ? "edge failed-way" : isCritical ? "edge critical-way" : holds ? "edge holds" : "edge";
        (isWay || isCritical ? strong : quiet).push(html`<path key=${child.path} class=${name} d=${d} marker-start=${large ? (isCritical ? "url(#arrow-ink)" : "") : undefined} />`);
      }
    }
    for (const other of node.shared) {
      const to = placed.boxes.get(other);
      if (to) quiet.push(html`<path key=${`${node.path}>${other.path}`} class="edge shared" d=${edge(from, to)}><title>shared: ${other.path}</title></path>`);
    }
  }
  return html`<svg class="edges" width=${placed.width} height=${placed.height} aria-hidden="true"><defs><marker id="arrow-ink" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="3" markerHeight="3" orient="auto-start-reverse"><path d="M0 0L8 4 0 8z" fill="var(--ink)" /></marker></defs>${quiet}${strong}</svg>`;
}

// Dashed while the part holds its parent back: something of the parent waits, and the part isn't done.
function holdsBack(child, parent) {
  const waits = parent.tasks.some((task) => task.doc.state === "waiting");
  return waits && child.tasks.some((task) => task.kind !== "eval" && !["succeeded", "skipped", "cancelled"].includes(task.doc.state));
}

const WORDS = { succeeded: "done", ready: "serves", running: "running", queued: "waits for a slot", waiting: "waits for others", failed: "failed", skipped: "not started", degraded: "degraded" };
function Legend({ nodes, open, critical, failed, large }) {
  const states = new Set(nodes.map((node) => (node.children.length && !open.has(node.path) ? node.worst : node.state)));
  if (large) for (const node of nodes) for (const task of node.tasks) states.add(task.doc.state);
  const shown = Object.keys(WORDS).filter((state) => states.has(state));
  return html`<div class="legend" aria-label="Legend">${shown.map((state) => html`<span key=${state}><${Glyph} state=${state} size=${13} />${WORDS[state]}</span>`)}${critical ? html`<span><i class="line-ink"></i>critical path</span>` : failed ? html`<span><i class="line-failed"></i>way to the failure</span>` : null}</div>`;
}

function reveal(scroller, box, scale) {
  if (!box) return;
  const [x, y] = [box.x * scale, box.y * scale];
  const { scrollLeft, scrollTop, clientWidth, clientHeight } = scroller;
  if (x < scrollLeft || x + box.width * scale > scrollLeft + clientWidth) scroller.scrollLeft = Math.max(0, x - clientWidth / 2);
  if (y < scrollTop || y + box.height * scale > scrollTop + clientHeight) scroller.scrollTop = Math.max(0, y - clientHeight / 2);
}

function drag(event, scroller) {
  if (event.button !== 0 || event.pointerType === "touch" || event.target.closest(".node")) return;
  const [x, y, left, top] = [event.clientX, event.clientY, scroller.scrollLeft, scroller.scrollTop];
  const move = (moved) => { scroller.scrollLeft = left + x - moved.clientX; scroller.scrollTop = top + y - moved.clientY; };
  const end = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", end); };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
}

// Left is rootward: the parent; right is the first part, up and down are the siblings as drawn.
export function keys(event, { tree, node, nodes, open, toggle, onChoose, setCritical }) {
  if (event.key === "c") { setCritical?.(); return true; }
  if (event.key === "n" || event.key === "N") {
    const found = failures(tree);
    if (!found.length) return true;
    const at = found.indexOf(node);
    onChoose(found[(at + (event.key === "n" ? 1 : found.length - 1)) % found.length].path);
    return true;
  }
  if (!event.key.startsWith("Arrow") && event.key !== "Enter") return false;
  const inTree = !document.activeElement || document.activeElement === document.body || document.activeElement.closest(".canvas, .outline");
  if (!inTree || (event.key === "Enter" && document.activeElement.closest("button"))) return false;
  const here = node || tree.root;
  const at = nodes.indexOf(here);
  const to = { ArrowLeft: here.parent, ArrowRight: open.has(here.path) ? here.children[0] : null, ArrowDown: nodes[at + 1], ArrowUp: nodes[at - 1] }[event.key];
  if (event.key === "Enter" || (event.key === "ArrowRight" && !to && here.children.length)) toggle(here);
  else if (to) { onChoose(to.path); requestAnimationFrame(() => document.getElementById(`node-${to.order}`)?.focus({ preventScroll: true })); }
  return true;
}
