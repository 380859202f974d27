// One stream for many pages: it keeps the documents, follows the gateway, and hands changes on.
//
// It runs in a SharedWorker, so that a browser has one stream however many tabs are open; where
// there is none, in the page itself. Pages that are hidden don't count: without a visible one the
// stream is closed, and the next one gets only what has changed since.

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 5000;
const SILENT_MS = 5000;
const PAGE_SILENT_MS = 30000;

export class Hub {
  constructor() {
    this.docs = new Map();
    this.pages = new Map();
    this.version = "";
    this.source = null;
    this.watched = "";
    this.heardAt = 0;
    this.retryMs = FIRST_RETRY_MS;
    this.timer = 0;
    setInterval(() => this.look(), 1000);
  }

  join(port) {
    this.pages.set(port, { watch: [], visible: true, seenAt: Date.now() });
    port.onmessage = ({ data }) => this.told(port, data);
  }

  told(port, data) {
    const page = this.pages.get(port) || { watch: [], visible: true };
    if (data.bye) {
      this.pages.delete(port);
    } else {
      const isNew = data.watch && (data.hello || data.watch.join() !== page.watch.join());
      page.seenAt = Date.now();
      if (data.watch) page.watch = data.watch;
      if (data.visible != null) page.visible = data.visible;
      this.pages.set(port, page);
      // What is known at once; what isn't comes with the stream.
      if (isNew) port.postMessage({ type: "all", docs: this.wanted(page), known: this.version !== "" });
    }
    if (data.retry) {
      this.retryMs = FIRST_RETRY_MS;
      this.close();
    }
    this.follow();
  }

  wanted(page) {
    return [...this.docs].filter(([key]) => wants(page.watch, key));
  }

  look() {
    const now = Date.now();
    for (const [port, page] of this.pages) {
      if (page.visible && now - page.seenAt > PAGE_SILENT_MS) this.pages.delete(port);
    }
    if (this.source && now - this.heardAt > SILENT_MS) this.failed();
  }

  // Open, close or reopen the stream as those who look need it.
  follow() {
    const visible = [...this.pages.values()].filter((page) => page.visible);
    if (!visible.length) {
      clearTimeout(this.timer);
      this.timer = 0;
      this.close();
      return;
    }
    const watched = [...new Set(visible.flatMap((page) => page.watch))].sort().slice(0, 20).join("\n");
    if (this.source && watched === this.watched) return;
    if (!this.source && this.timer) return;
    this.open(watched);
  }

  open(watched) {
    this.close();
    // Documents that nobody watched are old; their graphs and tasks come anew.
    const before = new Set(this.watched ? this.watched.split("\n") : []);
    const isMore = watched && watched.split("\n").some((id) => !before.has(id));
    this.watched = watched;
    const query = new URLSearchParams();
    if (this.version && !isMore) query.set("since", this.version);
    for (const id of watched ? watched.split("\n") : []) query.append("watch", id);
    const source = new EventSource(`/api/board/stream?${query}`);
    this.source = source;
    this.heardAt = Date.now();
    source.addEventListener("change", (event) => this.change(JSON.parse(event.data)));
    source.addEventListener("beat", (event) => this.beat(JSON.parse(event.data)));
    source.onerror = () => { if (this.source === source) this.failed(); };
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
  }

  change(told) {
    this.heardAt = Date.now();
    this.retryMs = FIRST_RETRY_MS;
    this.version = told.version;
    if (told.whole) this.docs.clear();
    for (const [key, doc] of Object.entries(told.set)) this.docs.set(key, doc);
    for (const key of told.drop) this.docs.delete(key);
    for (const [port, page] of this.pages) {
      if (!page.visible && !told.whole) { page.watch = []; continue; }
      const set = Object.entries(told.set).filter(([key]) => wants(page.watch, key));
      port.postMessage({ type: "change", whole: told.whole, set, drop: told.drop, now: told.now });
    }
  }

  beat(told) {
    this.heardAt = Date.now();
    for (const port of this.pages.keys()) port.postMessage({ type: "beat", ...told });
  }

  async failed() {
    this.close();
    const since = this.heardAt / 1000;
    const wait = this.retryMs;
    this.retryMs = Math.min(wait * 2, LONGEST_RETRY_MS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.timer = 0; this.follow(); }, wait);
    let locked = false;
    try {
      locked = (await fetch("/api/session", { cache: "no-store" })).status === 401;
    } catch { /* The gateway doesn't answer at all. */ }
    const told = locked ? { type: "locked" } : { type: "down", since, next: Date.now() + wait };
    for (const port of this.pages.keys()) port.postMessage(told);
  }
}

function wants(watch, key) {
  const kind = key.slice(0, 2);
  if (kind !== "g/" && kind !== "t/") return true;
  return watch.some((id) => key === `g/${id}` || key.startsWith(`t/${id}/`));
}
