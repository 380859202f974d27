// What is shown where nothing is: nothing deployed yet, and what isn't there.
import { html } from "../vendor/htm-preact.js";
import { plural } from "./format.js";
import { Glyph } from "./glyphs.js";
import { live } from "./live.js";
import { CodeLine, Name } from "./parts.js";
import { toDeployment, toService } from "./route.js";

export function Empty() {
  const workers = live.all("w/").filter((each) => each.state === "ready");
  const free = workers.reduce((sum, each) => sum + each.slots - each.tasks.length, 0);
  const steps = [
    ["Try the example: three classifiers and a vote", "rootward deploy examples/digits.py:tree", "Trains three models at the same time and serves them; takes about 15 s."],
    ["Or deploy your own tree", "rootward deploy path/to/app.py:tree", html`<code>tree</code> is a module, or a function that returns one.`],
    ["Then call it", "rootward gateway call digits '[0, 5, 13, …]'", "Or open the service here and press “Try it”."],
  ];
  if (!workers.length) steps.unshift(["Start a worker", "rootward worker", "It runs the tasks, and serves what they deploy."]);
  return html`<main class="empty"><svg width="150" height="74" viewBox="0 0 150 74" fill="none" aria-hidden="true"><g stroke="var(--line2)" stroke-dasharray="3 3" stroke-width="1.5"><path d="M45 37h58M45 37h14q5 0 7-8l2-10q2-8 8-8h27M45 37h14q5 0 7 8l2 10q2 8 8 8h27" /></g>
      <rect x="2" y="25" width="43" height="24" rx="5" fill="var(--surface)" stroke="var(--accent)" stroke-width="1.5" /><g fill="var(--surface)" stroke="var(--line2)" stroke-width="1.2"><rect x="104" y="2" width="43" height="18" rx="5" /><rect x="104" y="28" width="43" height="18" rx="5" /><rect x="104" y="54" width="43" height="18" rx="5" /></g></svg>
    <h1>Nothing is deployed yet</h1><p class="soft">A deployment is a tree of modules. Its parts train and start on your workers, children before parents. It appears here, live, the moment you start one.</p>
    <ol>${steps.map(([title, command, note], i) => html`<li key=${title}><span class="step" aria-hidden="true">${i + 1}</span><div><h2>${title}</h2><${CodeLine} text=${command} /><p class="meta">${note}</p></div></li>`)}</ol>
    <p class="here row">${workers.length ? html`<${Glyph} state="ready" /><span class="small">${plural(workers.length, "worker is", "workers are")} here, <b>${workers.slice(0, 3).map((each) => each.worker).join(", ")}</b>, with ${plural(free, "free slot")}. Ready when you are.</span>` : html`<${Glyph} state="waiting" /><span class="small">No worker is here yet.</span>`}</p></main>`;
}

// Near by what the names begin and end with, and by how many letter pairs they share.
function near(name, known) {
  const pairs = (text) => new Set(Array.from(text.toLowerCase()).map((letter, i, all) => letter + (all[i + 1] || "")));
  const mine = pairs(name);
  const score = (other) => { const theirs = pairs(other); return [...mine].filter((pair) => theirs.has(pair)).length / Math.max(mine.size, theirs.size); };
  return known.map((each) => [score(each), each]).filter(([s]) => s > 0.3).sort((a, b) => b[0] - a[0]).slice(0, 3).map(([, each]) => each);
}

export function Missing({ what, name }) {
  const isService = what === "service";
  const known = isService ? live.all("s/").map((each) => each.service) : live.all("d/").map((each) => `${each.name}@${each.generation}`);
  const found = near(name, known);
  return html`<main class="lonely"><h1>There is no ${what} <${Name} text=${name} most=${60} /></h1>
    <p class="soft">${what === "deployment" ? "Its history may be over, or the name is another." : "It may have been stopped, or the name is another."}</p>
    ${found.length > 0 && html`<p>Near it: ${found.map((each, i) => html`${i ? ", " : ""}<a href=${isService ? toService(each) : toDeployment(each)}><${Name} text=${each} /></a>`)}</p>`}<p><a href="/#">Home</a></p></main>`;
}
