// Try it: a form from the schema or JSON, the answer with its status, time and replica, streams item
// by item, the same as curl, Python and command line, earlier calls of this page.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { service as address } from "./api.js";
import { latency, logClock } from "./format.js";
import { Glyph } from "./glyphs.js";
import { Copy, Segments } from "./parts.js";
import { example, fromText, toText, typeName } from "./schema.js";

export function TryIt({ service, fields, document }) {
  const [mode, setMode] = useState(fields ? "form" : "json");
  const [texts, setTexts] = useState({});
  const [json, setJson] = useState("");
  const [streams, setStreams] = useState(false);
  const [answer, setAnswer] = useState(null);
  const [earlier, setEarlier] = useState([]);
  const [problem, setProblem] = useState({});
  const stop = useRef(null);
  useEffect(() => {
    if (!fields) { setMode("json"); if (!json) setJson('{"args": []}'); return; }
    setMode("form");
    const first = Object.fromEntries(fields.map((each) => [each.name, toText(example(each.schema), each.schema)]));
    setTexts((old) => ({ ...first, ...old }));
  }, [document]);
  useEffect(() => () => stop.current?.abort(), []);
  const body = () => {
    if (mode === "json") return JSON.parse(json);
    const kwargs = {};
    for (const each of fields) {
      try {
        kwargs[each.name] = fromText(texts[each.name] ?? "", each.schema);
      } catch (error) {
        throw Object.assign(error, { field: each.name });
      }
    }
    return { kwargs };
  };
  const send = async () => {
    stop.current?.abort();
    setProblem({});
    let given;
    try {
      given = body();
    } catch (error) {
      setProblem({ [error.field || "json"]: error.field ? error.message : `This isn't JSON: ${error.message}` });
      return;
    }
    const control = new AbortController();
    stop.current = control;
    await call(service.service, given, streams, control.signal, (told) => {
      setAnswer(told);
      if (told.over) {
        stop.current = null;
        setEarlier((old) => [told, ...old].slice(0, 8));
        const named = fields?.find((each) => told.error && new RegExp(`\\b${each.name.replace(/\W/g, "\\$&")}\\b`).test(told.error.message));
        if (named) setProblem({ [named.name]: told.error.message });
      }
    });
  };
  const modes = fields ? [["form", "Form"], ["json", "JSON"]] : [["json", "JSON"]];
  const switchTo = (next) => {
    if (next === "json") { try { setJson(JSON.stringify(body(), null, 1)); } catch { setJson(""); } }
    setMode(next);
  };
  const onKey = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); } };
  let sent = null;
  try { sent = body(); } catch { /* What isn't whole has no other form. */ }
  return html`<section class="card try" onKeyDown=${onKey}><header><h2>Try it</h2><span class="grow"></span><${Segments} label="Input" value=${mode} onChange=${switchTo} options=${modes} /></header>
    <div class="try-body"><div class="try-in">${mode === "form" ? fields.map((each) => html`<${Field} key=${each.name} field=${each} text=${texts[each.name] ?? ""} wrong=${problem[each.name]} onInput=${(text) => setTexts((old) => ({ ...old, [each.name]: text }))} />`) : html`<label class="try-field"><span class="row"><b>JSON</b><span class="meta">{"args": [], "kwargs": {}}</span></span><textarea class=${problem.json ? "field wrong" : "field"} rows="10" value=${json} onInput=${(event) => setJson(event.target.value)}></textarea>${problem.json && html`<span class="wrong-note"><${Glyph} state="failed" />${problem.json}</span>`}</label>`}
      ${mode === "form" && !fields.length && html`<p class="soft">It takes no arguments.</p>`}
      <label class="row check"><input type="checkbox" checked=${streams} onChange=${(event) => setStreams(event.target.checked)} />Stream the answer</label>
      <div class="row"><button class="button main" onClick=${send}>Send</button>${answer && !answer.over ? html`<button class="button" onClick=${() => stop.current?.abort()}>Stop</button>` : html`<kbd>Ctrl</kbd><kbd>Enter</kbd>`}</div></div>
      <div class="try-out"><${Answer} answer=${answer} /><${Same} service=${service} body=${sent} streams=${streams} />
      ${earlier.length > 0 && html`<h3 class="soft">Earlier calls</h3><ul class="earlier">${earlier.map((each) => html`<li key=${each.at} class="row"><code class=${each.error ? "s-failed" : "s-succeeded"}>${each.status || "–"}</code><code class="cut grow" dir="auto">${each.error ? each.error.message : each.items ? `${each.items.length} items` : each.text}</code><span class="meta">${latency(each.seconds)}</span></li>`)}</ul>`}</div></div></section>`;
}

function Field({ field, text, wrong, onInput }) {
  const { name, schema, required } = field;
  const long = text.length > 60 || schema.type === "array" || schema.type === "object";
  const id = `field-${name}`;
  const note = wrong ? `${id}-note` : undefined;
  const attributes = { id, class: wrong ? "field wrong" : "field", value: text, "aria-invalid": String(Boolean(wrong)), "aria-describedby": note, onInput: (event) => onInput(event.target.value) };
  let input = html`<input ...${attributes} />`;
  if (schema.enum) input = html`<select ...${attributes}>${schema.enum.map((each) => html`<option key=${each} value=${toText(each, schema)}>${String(each)}</option>`)}</select>`;
  else if (schema.type === "boolean") input = html`<select ...${attributes}><option value="true">true</option><option value="false">false</option></select>`;
  else if (long) input = html`<textarea rows=${schema.type === "array" ? 6 : 3} ...${attributes}></textarea>`;
  return html`<div class="try-field"><label for=${id} class="row"><b>${name}</b><code class="soft">${typeName(schema)}</code><span class="grow"></span><span class="meta">${required ? "required" : "optional"}</span></label>${input}${schema.description && html`<p class="meta">${schema.description}</p>`}${wrong && html`<p class="wrong-note" id=${note}><${Glyph} state="failed" />${wrong}</p>`}</div>`;
}

// Sends one call; `told` gets the answer as it grows: {status, seconds, replica, text, items, error, over}.
async function call(path, body, streams, signal, told) {
  const began = performance.now();
  const answer = { at: Date.now() / 1000, status: 0, items: streams ? [] : null, over: false };
  const since = () => (performance.now() - began) / 1000;
  told({ ...answer, seconds: null });
  try {
    const response = await fetch(`${address(path)}/call`, { method: "POST", signal, headers: { "content-type": "application/json", accept: streams ? "text/event-stream" : "application/json" }, body: JSON.stringify(body) });
    answer.status = response.status;
    answer.replica = response.headers.get("x-rootward-replica") || "";
    answer.generation = response.headers.get("x-rootward-generation") || "";
    answer.stale = response.headers.get("x-rootward-stale");
    if (streams && response.ok && (response.headers.get("content-type") || "").includes("event-stream")) {
      await readStream(response, answer, () => told({ ...answer, seconds: since() }), since);
    } else {
      const text = await response.text();
      let json = null;
      try { json = JSON.parse(text); } catch { /* What a command answers need not be JSON. */ }
      if (!response.ok) answer.error = json?.error || { type: "Error", message: text.slice(0, 1000) || `status ${response.status}` };
      else { answer.value = json && "result" in json ? json.result : json; answer.text = json ? shown(answer.value) : text; }
      if (!answer.error) answer.items = null;
    }
  } catch (error) {
    answer.error = { type: error.name === "AbortError" ? "Stopped" : "NotReached", message: error.name === "AbortError" ? "You stopped it." : "The gateway was not reached." };
  }
  told({ ...answer, seconds: since(), over: true });
}

async function readStream(response, answer, draw, since) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = /^event: ?(.*)$/m.exec(block)?.[1] || "message";
      const data = [...block.matchAll(/^data: ?(.*)$/gm)].map((each) => each[1]).join("\n");
      if (event === "error") answer.error = JSON.parse(data).error || JSON.parse(data);
      else if (event !== "end" && data) answer.items = [...answer.items, { at: since(), text: readable(data) }].slice(-500);
    }
    draw();
  }
}

function readable(data) {
  try { return shown(JSON.parse(data)); } catch { return data; }
}

const shown = (value) => (typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, null, value && typeof value === "object" && JSON.stringify(value).length > 80 ? 1 : 0));

function kindOf(value) {
  if (value === null) return "None";
  if (Array.isArray(value)) return `list of ${value.length}`;
  return { number: Number.isInteger(value) ? "int" : "float", string: "str", boolean: "bool", object: "dict" }[typeof value] || "";
}

function Answer({ answer }) {
  if (!answer) return html`<p class="soft">The answer will stand here, with its time and the replica that gave it.</p>`;
  const failed = Boolean(answer.error);
  const state = !answer.over ? "running" : failed ? "failed" : "succeeded";
  return html`<div class="answer" aria-live="polite"><p class="row"><${Glyph} state=${state} /><b>${answer.status || ""}</b><span class="soft">${answer.seconds != null ? `in ${latency(answer.seconds)}` : "sent"}</span><span class="grow"></span><span class="meta">${answer.replica ? answer.replica.slice(0, 7) : ""}${answer.generation ? ` · @${answer.generation}` : ""}${answer.stale ? " · not live" : ""}</span></p>
    ${answer.items && html`<ol class="well items" tabindex="0" aria-label="Items">${answer.items.map((item, i) => html`<li key=${i}><span class="meta">${latency(item.at)}</span> <span dir="auto">${item.text}</span></li>`)}</ol>`}
    ${failed ? html`<div class="callout error"><code dir="auto">${answer.error.type}: ${answer.error.message}</code></div>` : answer.text != null ? html`<pre class=${answer.text.length < 24 ? "well big" : "well"} tabindex="0" aria-label="Result" dir="auto">${answer.text}</pre>` : null}
    ${answer.over && !failed && html`<p class="row meta">${answer.items ? `${answer.items.length} items` : kindOf(answer.value)} · ${logClock(answer.at)}<span class="grow"></span><${Copy} text=${answer.items ? answer.items.map((item) => item.text).join("\n") : answer.text} label="Copy the answer" /></p>`}</div>`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function python(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${python(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}

function Same({ service, body, streams }) {
  const [how, setHow] = useState("curl");
  if (!body) return null;
  const url = `${location.origin}${address(service.service)}/call`;
  const args = [...(body.args || []).map(python), ...Object.entries(body.kwargs || {}).map(([key, value]) => `${key}=${python(value)}`)].join(", ");
  const values = [...(body.args || []), ...Object.values(body.kwargs || {})];
  const one = values.length === 1 ? JSON.stringify(values[0]) : null;
  const texts = {
    curl: `curl${streams ? " -N -H 'Accept: text/event-stream'" : ""} ${url} \\\n  --json ${quoted(JSON.stringify(body))}`,
    python: `from rootward import connect\n\nwith connect() as client:\n    ${streams ? `for item in client.gateway.stream(${JSON.stringify(service.service)}, ${args}):\n        print(item)` : `print(client.gateway.call(${JSON.stringify(service.service)}, ${args}))`}`,
    rootward: one == null ? `# the command calls with one value; this call has ${values.length}` : `rootward gateway call ${quoted(service.service)} ${quoted(one)}`,
  };
  return html`<div class="same"><div class="row"><b class="soft">The same from</b><${Segments} label="Language" value=${how} onChange=${setHow} options=${[["curl", "curl"], ["python", "Python"], ["rootward", "rootward"]]} /><span class="grow"></span><${Copy} text=${texts[how]} label="Copy it" /></div><pre class="well" tabindex="0" aria-label=${`The same from ${how}`}>${texts[how].length > 400 ? `${texts[how].slice(0, 400)}…` : texts[how]}</pre></div>`;
}
