// What needs attention, first the worst, then the newest: failed, waiting for what no worker has,
// degraded, workers that are not heard. Pure functions of the documents.
import { clock, done, doing, lastPart, plural } from "./format.js";

const RANK = { failed: 0, lost: 1, waiting: 2, degraded: 3 };

export function attention(docs, services, workers, now, isStale) {
  const found = [...docs.flatMap((doc) => ofDeployment(doc, now, isStale)), ...services.flatMap(ofService), ...workers.flatMap((worker) => ofWorker(worker))];
  return found.sort((a, b) => RANK[a.state] - RANK[b.state] || b.since - a.since);
}

export const shownFailure = (doc) => doc.failed.find((each) => each.kind !== "prepare") || doc.failed[0];

export function failureSentence(doc) {
  const first = shownFailure(doc);
  if (!first) return { who: doc.name, what: ` failed: ${doc.reason || "no reason was kept"}`, code: "" };
  const words = `${first.type}${first.type && first.message ? ": " : ""}${first.message.split("\n")[0]}`;
  return { who: lastPart(first.module || doc.name), what: ` could not be ${done(first.kind)}: `, code: words };
}

export const skippedOf = (doc) => (doc.counts.skipped || 0) + (doc.counts.cancelled || 0);

function ofDeployment(doc, now) {
  const id = `${doc.name}@${doc.generation}`;
  if (doc.state === "failed" && doc.generation === doc.latest) {
    const skipped = skippedOf(doc);
    const serves = doc.current && doc.current !== doc.generation
      ? `${doc.name}@${doc.current} serves on.`
      : doc.ready ? `${plural(doc.ready, "replica")} of it ${doc.ready === 1 ? "serves" : "serve"} on.` : `Nothing of ${doc.name} is served.`;
    return [{ state: "failed", key: id, id, doc, since: doc.ended_at || doc.moved_at || doc.created_at, sentence: failureSentence(doc), then: `${serves}${skipped ? ` ${plural(skipped, "task was", "tasks were")} not started.` : ""}` }];
  }
  if ((doc.state === "progressing" || doc.state === "pending") && doc.reason && doc.queued_since && now - doc.queued_since > 30) {
    const [why, how] = splitReason(doc.reason);
    return [{ state: "waiting", key: id, id, doc, since: doc.queued_since, sentence: { who: "", what: why, code: "" }, then: "Nothing is down.", command: how }];
  }
  return [];
}

// "... : start one with `rootward worker --resource gpu=1`" is what to do.
export function splitReason(given) {
  const need = given.match(/^\w+:(\S+) needs (.+?) and no live worker offers it \((.*?)\)(.*)$/s);
  const reason = need ? `${lastPart(need[1])} waits for ${need[2]}: ${need[3]}${need[4]}` : given;
  const found = reason.match(/^(.*?)[:;,]?\s*start one with `([^`]+)`\s*$/s);
  return found ? [found[1], found[2]] : [reason, ""];
}

function ofService(service) {
  if (service.state !== "degraded" && service.state !== "unready") return [];
  const ready = service.replicas.filter((each) => each.state === "ready").length;
  const bad = service.replicas.find((each) => each.state !== "ready" && each.reason);
  const since = Math.max(0, ...service.replicas.filter((each) => each.state !== "ready").map((each) => each.since));
  const last = Math.max(0, ...service.replicas.map((each) => each.since));
  return [{
    state: "degraded", key: service.service, service, since: since || last,
    sentence: { who: "", what: `${ready} of ${plural(service.wanted, "replica")} ${service.wanted === 1 || ready === 1 ? "is" : "are"} ready.${bad ? ` ${bad.replica.slice(0, 6)}: ${bad.reason}.` : ""}`, code: "" },
    then: ready ? `Calls go to the other${ready === 1 ? " one" : "s"}.` : "Calls are held for up to 10 s, then refused.",
  }];
}

function ofWorker(worker) {
  if (worker.state !== "lost") return [];
  return [{
    state: "lost", key: worker.id, worker, since: worker.heard_at,
    sentence: { who: worker.worker, what: ` is not heard since ${clock(worker.heard_at, true)}.`, code: "" },
    then: "What it ran goes to other workers.",
  }];
}

// One line of what a deployment does now.
export function nowLine(doc) {
  if (doc.state === "failed") {
    const first = shownFailure(doc);
    return { text: first ? `${first.kind === "train" ? "Training" : doing(first.kind)} of ${lastPart(first.module || doc.name)} failed` : doc.reason || "" };
  }
  if (doc.state === "pending" || doc.state === "progressing") {
    if (doc.reason) return { glyph: "waiting", text: splitReason(doc.reason)[0] };
    const run = doc.running[0];
    if (!run) return { text: doc.counts.queued ? "Waits for a slot" : "Starts replicas" };
    const more = (doc.counts.running || 1) - 1;
    const share = run.progress?.total ? `, ${Math.round((100 * run.progress.done) / run.progress.total)} %` : "";
    return { text: `${doing(run.kind)} ${lastPart(run.module || "")}${share}${more ? ` and ${more} more` : ""}` };
  }
  if (doc.short.length) {
    const [path, ready, wanted] = doc.short[0];
    return { text: `${lastPart(path)}: ${ready} of ${plural(wanted, "replica")}` };
  }
  return { text: doc.reason || "" };
}
