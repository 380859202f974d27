// The sentence before everything: what is, why, what still serves, what will happen next.
import { html } from "../vendor/htm-preact.js";
import { failureSentence, shownFailure, skippedOf, splitReason } from "./attention.js";
import { age, clock, count, doing, duration, lastPart, plural } from "./format.js";
import { live } from "./live.js";
import { span } from "./critical.js";

export function Reason({ doc, tree }) {
  const serves = doc.current && doc.current !== doc.generation ? html`<b>${doc.name}@${doc.current} serves on</b>.` : null;
  if (doc.state === "failed") return failed(doc, serves);
  if (doc.state === "pending" || doc.state === "progressing") return progressing(doc, serves);
  if (doc.state === "ready" && doc.generation === doc.canary) return html`<b>@${doc.generation} gets ${doc.percent} % of the calls.</b> <span class="soft">@${doc.current} gets the rest. The Generations tab compares them.</span>`;
  if (doc.state === "ready") return html`${doc.wanted ? html`Serving, ${doc.ready} of ${plural(doc.wanted, "replica")}.` : "Done; it serves nothing."} ${tree ? html`<span class="soft">Deployed in <b>${duration(makespan(tree))}</b>.</span>` : null}`;
  if (doc.state === "degraded") {
    const [path, ready, wanted] = doc.short[0] || [];
    return html`${path ? html`<b>${lastPart(path)}</b> has ${ready} of ${plural(wanted, "replica")}. <span class="soft">Another is being started; calls go to the others.</span>` : doc.reason}`;
  }
  const left = doc.total - (doc.counts.succeeded || 0);
  return html`${capital(doc.reason || doc.state)}. <span class="soft">${left && doc.state === "cancelled" ? `${plural(left, "task")} did not succeed. ` : ""}</span>${serves}`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function failed(doc, serves) {
  const said = failureSentence(doc);
  const skipped = skippedOf(doc);
  const first = shownFailure(doc);
  return html`${first ? html`<b dir="auto">${said.who}</b>${said.what.replace(/: $/, ".")}` : `${capital(doc.reason || "It failed")}.`} <span class="soft">${skipped ? `${plural(skipped, "task was", "tasks were")} not started. ` : ""}</span>${serves || html`<span class="soft">${doc.ready ? `${plural(doc.ready, "replica")} of it ${doc.ready === 1 ? "serves" : "serve"} on.` : "Nothing of it serves."}</span>`}`;
}

function progressing(doc, serves) {
  const after = serves ? html` <span class="soft"><b>@${doc.current} serves</b> until @${doc.generation} is ready.</span>` : null;
  if (doc.reason) {
    const [why, how] = splitReason(doc.reason);
    return html`${capital(why)}. ${how ? html`<span class="soft">Start one: <code>${how}</code></span>` : null}${after}`;
  }
  const failures = doc.counts.failed || 0;
  if (failures) {
    const who = lastPart(shownFailure(doc)?.module || "");
    return html`${count(doc.counts.succeeded || 0)} of ${plural(doc.total, "task")}, ${failures} failed. <span class="soft"><b>${who}</b> failed; the rest goes on, then @${doc.generation} fails.</span> ${serves}`;
  }
  const first = doc.running[0];
  if (!first) return html`${doc.counts.queued ? "Waits for a slot." : "Starting replicas."}${after}`;
  const many = (doc.counts.running || 1) - 1;
  const share = first.progress?.total ? `, ${Math.round((100 * first.progress.done) / first.progress.total)} %` : "";
  return html`${doing(first.kind)} <b dir="auto">${lastPart(first.module)}</b>${share}${many ? ` and ${count(many)} more` : ""}. <span class="soft">${rest(doc)}</span>${after}`;
}

function rest(doc) {
  const left = (doc.counts.waiting || 0) + (doc.counts.queued || 0);
  return left ? `Then ${plural(left, "task")} more, the root last.` : "";
}

export function makespan(tree) {
  const { from, to } = span(tree);
  return to - from;
}

// Done, time, when: the figures at the right.
export function figures(doc, tree) {
  const parts = [`${count(doc.counts.succeeded || 0)} of ${plural(doc.total, "task")}`];
  const running = ["pending", "progressing"].includes(doc.state);
  if (running) parts.push(live.stale() ? `since ${clock(doc.created_at, true)}` : `${age(live.now() - doc.created_at)} so far`);
  else if (tree && doc.state !== "ready") parts.push(duration(makespan(tree)));
  parts.push(clock(doc.created_at) + (doc.by ? ` by ${doc.by}` : ""));
  return parts.join(" · ");
}
