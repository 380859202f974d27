// The page of one service: shows what its document says of `forward`, and sends a call.

const at = (id) => document.getElementById(id);
const base = location.pathname.replace(/\/docs$/, "");
const url = `${base}/call`;

function headers(more = {}) {
  const token = sessionStorage.getItem("rootward-token");
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

function tell(message) {
  at("notice").hidden = !message;
  at("notice").textContent = message || "";
}

// What schemas refer to, by name.
let schemas = {};

// One JSON value that fits the schema: its default, its example, or the simplest of its type.
function example(schema = {}, depth = 0) {
  if ("default" in schema) return schema.default;
  if (depth > 8) return null;
  if (schema.$ref) return example(schemas[schema.$ref.split("/").pop()], depth + 1);
  if (schema.anyOf) return example(schema.anyOf[0], depth + 1);
  if (schema.enum) return schema.enum[0];
  if ("const" in schema) return schema.const;
  if (schema.properties) {
    const needed = (schema.required || []).map((name) => [name, schema.properties[name]]);
    return Object.fromEntries(needed.map(([name, each]) => [name, example(each, depth + 1)]));
  }
  const kind = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  return { integer: 1, number: 1.5, boolean: true, array: [], object: {}, null: null }[kind] ?? "text";
}

function exampleBody(schema) {
  const named = schema?.properties?.kwargs;
  const kwargs = {};
  for (const name of named?.required || []) kwargs[name] = example(named.properties[name]);
  const items = schema?.properties?.args?.prefixItems || [];
  const args = items.filter((each) => !("default" in each)).map((each) => example(each));
  return named?.required?.length ? { args, kwargs } : { args };
}

async function load() {
  at("name").textContent = decodeURIComponent(base.slice("/services/".length));
  at("route").textContent = url;
  const answer = await fetch(`${base}/openapi.json`, { headers: headers() });
  const told = await answer.json();
  if (!answer.ok) {
    tell(told.error ? told.error.message : String(answer.status));
    return;
  }
  tell("");
  schemas = told.components.schemas;
  const call = told.paths["/call"].post;
  at("meaning").textContent = call.description || "";
  at("signature").textContent = call["x-signature"] || "";
  const schema = call.requestBody.content["application/json"].schema;
  if (!at("body").value) at("body").value = JSON.stringify(exampleBody(schema));
  showCurl();
}

function showCurl() {
  const quoted = at("body").value.replaceAll("'", "'\\''");
  const accept = at("stream").checked ? " -N -H 'Accept: text/event-stream'" : "";
  at("curl").textContent =
    `curl${accept} -H 'Content-Type: application/json' -d '${quoted}' ${location.origin}${url}`;
}

async function send() {
  at("answered").hidden = false;
  at("answer").textContent = "";
  const accept = at("stream").checked ? "text/event-stream" : "application/json";
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: headers({ "Content-Type": "application/json", Accept: accept }),
      body: at("body").value,
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      at("answer").textContent += value;
    }
  } catch (error) {
    tell(error.message);
  }
}

at("call").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
at("call").addEventListener("input", showCurl);
at("access").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("rootward-token", at("token").value.trim());
  at("token").value = "";
  load().catch((error) => tell(error.message));
});
load().catch((error) => tell(error.message));
