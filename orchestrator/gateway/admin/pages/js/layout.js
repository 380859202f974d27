// Where the nodes of a tree stand: a column a layer, a row an end, parents in the middle of their
// parts. Linear in the number of nodes. Pure.
export const COMPACT = { width: 163, height: 38, step: 195, row: 57, left: 20, top: 24 };
export const LARGE = { width: 290, step: 400, gap: 50, left: 131, top: 72 };
export const TILES_FROM = 12;

export function visible(root, open) {
  const found = [];
  const stack = root ? [root] : [];
  while (stack.length) {
    const node = stack.pop();
    found.push(node);
    if (open.has(node.path)) for (let i = node.children.length - 1; i >= 0; i -= 1) stack.push(node.children[i]);
  }
  return found;
}

export const needsTiles = (nodes, open) => nodes.find((node) => open.has(node.path) && node.children.length > TILES_FROM && node.children.filter((each) => !open.has(each.path)).length > TILES_FROM);

export function place(root, open, large) {
  const nodes = visible(root, open);
  const boxes = new Map();
  const heightOf = (node) => (large ? 44 + 18 * Math.max(1, node.tasks.length) : COMPACT.height);
  let y = large ? LARGE.top : COMPACT.top;
  // Children first: `nodes` is a pre-order, so that backwards every part comes before its parent.
  for (const node of nodes) {
    if (open.has(node.path) && node.children.length) continue;
    boxes.set(node, { y, height: heightOf(node) });
    y += large ? heightOf(node) + LARGE.gap : COMPACT.row;
  }
  for (let i = nodes.length - 1; i >= 0; i -= 1) {
    const node = nodes[i];
    if (boxes.has(node)) continue;
    const first = boxes.get(node.children[0]);
    const last = boxes.get(node.children[node.children.length - 1]);
    const middle = (first.y + first.height / 2 + last.y + last.height / 2) / 2;
    boxes.set(node, { y: middle - heightOf(node) / 2, height: heightOf(node) });
  }
  const shape = large ? LARGE : COMPACT;
  let width = 0;
  let top = Infinity;
  let bottom = 0;
  for (const node of nodes) {
    const box = boxes.get(node);
    box.x = shape.left + node.depth * shape.step;
    box.width = shape.width;
    width = Math.max(width, box.x + box.width + shape.left);
    top = Math.min(top, box.y);
    bottom = Math.max(bottom, box.y + box.height);
  }
  const least = large ? LARGE.top : COMPACT.top;
  if (top < least) for (const box of boxes.values()) box.y += least - top;
  return { nodes, boxes, width, height: bottom + Math.max(0, least - top) + 90 };
}

// An edge from a parent's right side to a part's left one: orthogonal, with round corners.
export function edge(from, to) {
  const [x1, y1] = [from.x + from.width, from.y + from.height / 2];
  const [x2, y2] = [to.x, to.y + to.height / 2];
  const mid = x1 + Math.min(16, (x2 - x1) / 2);
  const bend = x2 - x1 > 60 ? x1 + (x2 - x1) / 2 : mid;
  if (Math.abs(y2 - y1) < 1) return `M${x1},${y1}H${x2}`;
  const r = Math.min(6, Math.abs(y2 - y1) / 2);
  const down = y2 > y1 ? 1 : -1;
  return `M${x1},${y1}H${bend - r}Q${bend},${y1} ${bend},${y1 + r * down}V${y2 - r * down}Q${bend},${y2} ${bend + r},${y2}H${x2}`;
}
