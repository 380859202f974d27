// What this page knows of the world: documents by key, and whether they are live.
//
// Changes are gathered and drawn once a frame. Times are corrected by the server's clock.
import { Hub } from "./hub.js";

const STALE_S = 5;

class Live {
  constructor() {
    this.docs = new Map();
    this.known = false;
    this.locked = false;
    this.offset = 0;
    this.heardAt = Date.now() / 1000;
    this.changedAt = 0;
    this.unreachedSince = null;
    this.down = null;
    this.revision = 0;
    this.missed = 0;
    this.watching = [];
    this.listeners = new Set();
    this.wasStale = false;
    this.onBack = () => {};
  }

  start() {
    this.port = makePort();
    this.port.onmessage = ({ data }) => this.told(data);
    this.port.start?.();
    const visible = () => document.visibilityState === "visible";
    this.port.postMessage({ hello: true, watch: this.watching, visible: visible() });
    document.addEventListener("visibilitychange", () => {
      if (visible()) this.heardAt = Date.now() / 1000;
      this.port.postMessage({ hello: visible(), watch: this.watching, visible: visible() });
    });
    addEventListener("pagehide", () => this.port.postMessage({ bye: true }));
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.port.postMessage({ hello: true, watch: this.watching, visible: true });
    });
    setInterval(() => {
      if (visible()) this.port.postMessage({ visible: true });
      this.draw();
    }, 1000);
  }

  told(data) {
    const now = Date.now() / 1000;
    if (data.type === "locked") {
      this.locked = true;
      this.draw();
      return;
    }
    if (data.type === "down") {
      this.down = { since: this.down?.since ?? data.since, next: data.next };
      this.draw();
      return;
    }
    this.locked = false;
    if (data.type === "all") {
      this.put(true, data.docs, []);
      this.known = this.known || data.known;
    } else if (data.type === "change") {
      this.heard(now, data.now);
      this.put(data.whole, data.set, data.drop);
      this.known = true;
      const counts = ([key]) => key !== "h" && key !== "q" && !key.startsWith("m/");
      if (data.set.some(counts) || data.drop.length) {
        this.changedAt = data.now;
        if (this.wasStale) this.missed += data.set.filter(counts).length;
      }
    } else if (data.type === "beat") {
      this.heard(now, data.now);
      this.unreachedSince = data.unreached_since;
    }
    this.draw();
  }

  heard(now, server) {
    this.heardAt = now;
    this.down = null;
    if (server) this.offset = server - now;
  }

  put(whole, set, drop) {
    this.revision += 1;
    if (whole) this.docs = new Map();
    for (const [key, doc] of set) this.docs.set(key, doc);
    for (const key of drop) this.docs.delete(key);
  }

  watch(ids) {
    if (ids.join() === this.watching.join()) return;
    this.watching = ids;
    this.port?.postMessage({ watch: ids });
  }

  retry() {
    this.port.postMessage({ retry: true, visible: true });
  }

  // The server's time; while nothing is heard it stands still.
  now() {
    const stale = this.stale();
    return (stale ? stale.since : Date.now() / 1000) + this.offset;
  }

  // Null while live; else since when, and whether the gateway or Redis is away.
  stale() {
    const now = Date.now() / 1000;
    if (this.unreachedSince && !this.down) {
      return { since: this.unreachedSince - this.offset, what: "Redis", gone: false };
    }
    const silent = now - this.heardAt;
    if (this.known && silent > STALE_S) {
      const gone = Boolean(this.down) && silent > 2 * STALE_S;
      return { since: this.heardAt, what: "The gateway", gone, next: this.down?.next };
    }
    return null;
  }

  all(prefix) {
    const found = [];
    for (const [key, doc] of this.docs) if (key.startsWith(prefix) && doc) found.push(doc);
    return found;
  }

  get(key) {
    return this.docs.get(key) ?? null;
  }

  draw() {
    const stale = Boolean(this.stale());
    const isBack = this.wasStale && !stale && this.known;
    this.wasStale = stale;
    if (isBack) {
      const missed = this.missed;
      this.missed = 0;
      this.onBack(missed);
    }
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      for (const listener of this.listeners) listener();
    });
  }
}

function makePort() {
  try {
    if (typeof SharedWorker === "function") {
      return new SharedWorker("/assets/js/worker.js", { type: "module", name: "rootward" }).port;
    }
  } catch { /* Some browsers forbid it: then each page has a stream of its own. */ }
  const { port1, port2 } = new MessageChannel();
  new Hub().join(port2);
  return port1;
}

export const live = new Live();
