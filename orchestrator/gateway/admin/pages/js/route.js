// Everything selected is in the address: `#/d/NAME@G/TAB?m=PATH&f=FILTER`, `#/s/PATH`, `#/workers`.
import { live } from "./live.js";

export function parse(hash = location.hash) {
  const docs = location.pathname.match(/^\/services\/(.+)\/docs$/);
  if (docs && !hash) return { view: "service", path: decode(docs[1]), query: {} };
  const [path, search] = hash.replace(/^#\/?/, "").split("?");
  const query = Object.fromEntries(new URLSearchParams(search || ""));
  const parts = path.split("/").map(decode);
  if (parts[0] === "d" && parts[1]) {
    return { view: "deployment", id: parts[1], tab: parts[2] || "tree", query };
  }
  if (parts[0] === "s" && parts[1]) return { view: "service", path: parts.slice(1).join("/"), query };
  if (parts[0] === "services" || parts[0] === "workers") return { view: parts[0], query };
  return parts[0] ? { view: "unknown", path, query } : { view: "home", query };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const encode = (text) => encodeURIComponent(text).replace(/%2F/g, "/").replace(/%40/g, "@");

export function toDeployment(id, tab = "tree", query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value);
  const search = kept.map(([key, value]) => `${key}=${encode(value)}`).join("&");
  return `#/d/${encode(id)}${tab === "tree" && !search ? "" : `/${tab}`}${search ? `?${search}` : ""}`;
}

export const toService = (path) => `#/s/${encode(path)}`;

export function go(hash, replace = false) {
  if (location.pathname !== "/") {
    location.assign(`/${hash}`);
  } else if (replace) {
    history.replaceState(null, "", hash || "/");
    live.draw();
  } else {
    location.hash = hash;
  }
}
