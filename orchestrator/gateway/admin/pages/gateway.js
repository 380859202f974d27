// The dashboard: reads the API every two seconds while it is looked at, and follows the events of
// the chosen deployment. Everything shown is set as text, never as markup.

const REFRESH_MS = 2000;
const SHOWN_EVENTS = 200;
const GOOD = new Set(["ready", "succeeded", "running", "ok"]);
const BAD = new Set(["failed", "lost", "cancelled", "degraded"]);

const at = (id) => document.getElementById(id);
let chosen = null;
let following = null;

function token() {
  return sessionStorage.getItem("rootward-token") || "";
}

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  const answer = await fetch(path, { ...options, headers });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ? told.error.message : `${path}: ${answer.status}`);
  }
  return answer;
}

const read = async (path) => (await ask(path)).json();

function tell(message) {
  at("notice").hidden = !message;
  at("notice").textContent = message || "";
}

function make(tag, text = "", kind = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
}

function stateNode(state) {
  const kind =
    GOOD.has(state) ? "good" : BAD.has(state) ? "bad" : state === "skipped" ? "soft" : "busy";
  return make("span", state || "-", kind);
}

function seconds(value) {
  if (value < 0.95) return `${Math.max(0, value * 1000).toFixed(0)} ms`;
  if (value < 120) return `${value.toFixed(1)} s`;
  return value < 7200 ? `${(value / 60).toFixed(0)} min` : `${(value / 3600).toFixed(0)} h`;
}

function fill(id, rows, nothing) {
  const body = at(id).tBodies[0];
  const made = rows.map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const place = document.createElement("td");
      place.append(cell);
      row.append(place);
    }
    return row;
  });
  if (!made.length) {
    const row = document.createElement("tr");
    const place = make("td", nothing, "none");
    place.colSpan = at(id).tHead.rows[0].cells.length;
    row.append(place);
    made.push(row);
  }
  // What has the keyboard keeps it across a redraw.
  const focus = document.activeElement?.dataset?.key;
  body.replaceChildren(...made);
  if (focus) body.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
}

function chooser(name) {
  const button = make("button", name, "link");
  button.dataset.key = `deployment ${name}`;
  button.addEventListener("click", () => choose(name));
  return button;
}

function pathOf(service) {
  return `/services/${service.split("/").map(encodeURIComponent).join("/")}`;
}

function docsLink(service) {
  const link = make("a", "try it");
  link.href = `${pathOf(service)}/docs`;
  link.dataset.key = `docs ${service}`;
  return link;
}

function replicas(endpoints) {
  if (!endpoints.length) return "none";
  const list = document.createElement("div");
  for (const each of endpoints) {
    const line = document.createElement("div");
    line.append(stateNode(each.state), ` ${each.url} `, make("span", `on ${each.worker}`, "soft"));
    list.append(line);
  }
  return list;
}

async function refresh() {
  try {
    const health = await read("/healthz");
    const stale = health.registry !== "followed";
    at("health").textContent = stale
      ? `Redis isn't reached for ${seconds(health.stale_s)}: the last known replicas serve`
      : `${health.services} service${health.services === 1 ? "" : "s"}`;
    at("health").className = `pill ${stale ? "bad" : "good"}`;
    const [deployments, services, workers] = await Promise.all(
      ["deployments", "services", "workers"].map((each) => read(`/api/${each}`)),
    );
    show(deployments, services, workers);
    if (chosen) showStatus(await read(`/api/deployments/${encodeURIComponent(chosen)}`));
    tell("");
  } catch (error) {
    tell(error.message);
  }
}

function show(deployments, services, workers) {
  const now = Date.now() / 1000;
  fill(
    "deployments",
    deployments.map((each) => [
      chooser(each.deployment),
      stateNode(each.state),
      each.current ? `@${each.current}` : "-",
      each.created_at ? seconds(now - each.created_at) : "-",
      each.reason || "",
    ]),
    "Nothing is deployed. Begin with: rootward deploy TARGET",
  );
  fill(
    "services",
    services.map((each) => [
      each.service,
      stateNode(each.state),
      replicas(each.endpoints),
      docsLink(each.service),
    ]),
    "Nothing is served.",
  );
  fill(
    "workers",
    workers.map((each) => [
      each.worker,
      stateNode(each.state),
      String(each.slots),
      String(each.held),
      seconds(each.lease_ms / 1000),
    ]),
    "No worker is running. Start one with: rootward worker",
  );
}

function showStatus(status) {
  const now = Date.now() / 1000;
  at("detail").hidden = false;
  at("detail-title").textContent = `${status.deployment}@${status.generation} ${status.state}`;
  fill(
    "tasks",
    status.tasks.map((each) => {
      const spent = each.started_at ? (each.ended_at || now) - each.started_at : null;
      const state = document.createElement("div");
      state.append(stateNode(each.state));
      if (each.error) state.append(` ${each.error.type}: ${each.error.message}`);
      return [each.id, state, spent === null ? "-" : seconds(spent), each.worker || "-"];
    }),
    "It has no tasks.",
  );
}

function choose(name) {
  chosen = name;
  following?.abort();
  following = new AbortController();
  at("events").replaceChildren();
  at("actions").replaceChildren(
    ...["cancel", "resume", "stop"].map((verb) => {
      const button = make("button", verb);
      button.addEventListener("click", () => change(name, verb));
      return button;
    }),
  );
  follow(name, following.signal);
  refresh();
}

async function change(name, verb) {
  if (verb !== "resume" && !confirm(`${verb} ${name}?`)) return;
  try {
    await ask(`/api/deployments/${encodeURIComponent(name)}/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    await refresh();
  } catch (error) {
    tell(error.message);
  }
}

// EventSource can't send a token; a stream that is read by hand can.
async function follow(name, signal) {
  let last = "";
  while (!signal.aborted) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const path = `/api/deployments/${encodeURIComponent(name)}/events`;
      const answer = await ask(path, { headers, signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const blocks = text.split("\n\n");
        text = blocks.pop();
        for (const block of blocks) last = showEvent(block) || last;
      }
    } catch (error) {
      if (signal.aborted) return;
    }
    await new Promise((next) => setTimeout(next, REFRESH_MS));
  }
}

function showEvent(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  if (!fields.data) return "";
  const event = JSON.parse(fields.data);
  const item = document.createElement("li");
  const time = new Date(event.at * 1000).toLocaleTimeString();
  const what = [event.task || event.path, event.worker && `on ${event.worker}`, event.reason];
  item.append(make("span", `${time} `, "soft"), `${event.event} `, what.filter(Boolean).join(" "));
  at("events").prepend(item);
  while (at("events").children.length > SHOWN_EVENTS) at("events").lastChild.remove();
  return fields.id;
}

at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("rootward-token", at("token").value.trim());
  at("token").value = "";
  refresh();
});

const asked = new URLSearchParams(location.search).get("deployment");
if (asked) choose(asked);
else refresh();
setInterval(() => document.hidden || refresh(), REFRESH_MS);
