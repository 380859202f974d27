// The log of one module: the last lines, then what comes, until one scrolls up. Logs aren't announced.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { deployment, get } from "./api.js";
import { fullTime, logClock } from "./format.js";
import { icons } from "./glyphs.js";
import { onKeys } from "./keys.js";
import { Copy, Segments } from "./parts.js";

const MOST = 2000;

export function Log({ id, node }) {
  const { lines, state } = useLines(id, node);
  const [follow, setFollow] = useState(true);
  const [attempt, setAttempt] = useState(null);
  const [wanted, setWanted] = useState(null);
  const [seen, setSeen] = useState(0);
  const box = useRef(null);
  const attempts = [...new Set(lines.filter((line) => line.attempt).map((line) => line.attempt))].sort((a, b) => a - b);
  const which = attempts.length > 1 ? attempt ?? attempts[attempts.length - 1] : null;
  const text = (wanted || "").toLowerCase();
  const shown = lines.filter((line) => (which == null || line.attempt == null || line.attempt === which) && (!text || line.text.toLowerCase().includes(text)));
  useEffect(() => {
    if (follow && box.current) { box.current.scrollTop = box.current.scrollHeight; setSeen(lines.length); }
  }, [lines.length, follow, which]);
  useEffect(() => onKeys((event) => { if (event.key !== "f") return false; setFollow((old) => !old); return true; }), []);
  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const atEnd = scrollHeight - scrollTop - clientHeight < 24;
    if (atEnd !== follow) setFollow(atEnd);
  };
  const fresh = follow ? 0 : lines.length - seen;
  return html`<section class="log-section"><div class="row"><h3>Log</h3>${attempts.length > 1 && html`<${Segments} label="Attempt" value=${which} onChange=${setAttempt} options=${attempts.slice(-5).map((n) => [n, n === which ? `Attempt ${n}` : String(n)])} />`}<span class="grow"></span>
      <button class="chip" aria-pressed=${String(follow)} onClick=${() => setFollow(!follow)}>Follow</button><button class="icon small" aria-label="Search in the log" aria-pressed=${String(wanted != null)} onClick=${() => setWanted(wanted == null ? "" : null)}>${icons.search}</button><${Copy} text=${shown.map((line) => line.text).join("\n")} label="Copy the log" /></div>
    ${wanted != null && html`<input class="field" placeholder="Lines with …" aria-label="Search in the log" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />`}
    <div class="log well" role="log" aria-live="off" aria-label="Log" tabindex="0" ref=${box} onScroll=${onScroll}>${shown.map((line) => html`<p key=${line.key} class=${level(line)}><span class="soft" title=${fullTime(line.at)}>${logClock(line.at)}</span> <span dir="auto">${line.text}</span></p>`)}${!lines.length && html`<p class="soft">${state}</p>`}</div>
    ${fresh > 0 && html`<button class="button small fresh-lines" onClick=${() => setFollow(true)}>${fresh} new ${fresh === 1 ? "line" : "lines"}</button>`}</section>`;
}

function level(line) {
  if (/\b(ERROR|CRITICAL)\b|^\w*(Error|Exception)\b|^Traceback /.test(line.text)) return "is-error";
  if (/\bWARN(ING)?\b/.test(line.text)) return "is-warning";
  return "";
}

// A module's log is what its node's tasks and replicas wrote; a served one has two paths.
function useLines(id, node) {
  const [lines, setLines] = useState([]);
  const [state, setState] = useState("");
  const paths = [...new Set([node.path, ...node.tasks.map((task) => task.path)])].slice(0, 2);
  useEffect(() => {
    setLines([]);
    setState("");
    let number = 0;
    let waiting = [];
    let frame = 0;
    const draw = () => {
      frame = 0;
      const more = waiting;
      waiting = [];
      setLines((old) => [...old, ...more].sort((a, b) => a.at - b.at).slice(-MOST));
    };
    // Asked each second while the page is seen: a stream for each would use up a browser's few
    // connections. What is far behind catches up at once.
    let last = "";
    let timer = 0;
    let wanted = true;
    const ask = async () => {
      if (document.visibilityState === "visible") {
        try {
          const query = new URLSearchParams({ tail: "1000" });
          for (const path of paths) query.append("module", path);
          if (last) query.set("since", last);
          const told = await get(`${deployment(id)}/logs?${query}`);
          if (!wanted) return;
          last = told.last;
          for (const line of told.lines) waiting.push({ ...line, key: ++number });
          setState("Nothing was written.");
          if (waiting.length && !frame) frame = requestAnimationFrame(draw);
        } catch (problem) {
          setState(problem.message);
        }
      }
      if (wanted) timer = setTimeout(ask, 1000);
    };
    ask();
    return () => {
      wanted = false;
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    };
  }, [id, paths.join("\n")]);
  return { lines, state };
}
