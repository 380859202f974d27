// The changes that may be made, each with what it will do: only those that a state allows.
import { deployment, post } from "./api.js";
import { ask } from "./dialogs.js";
import { count, plural } from "./format.js";
import { promote, takeBack } from "./generations.js";
import { live } from "./live.js";

const LIVE = ["ready", "degraded"];

export function actionsOf(doc) {
  const state = doc.state;
  const left = doc.total - (doc.counts.succeeded || 0);
  const id = `${doc.name}@${doc.generation}`;
  const found = [];
  if (state === "pending" || state === "progressing") found.push({ key: "cancel", text: `Cancel @${doc.generation}`, risky: true, ask: () => cancel(doc, id) });
  if (LIVE.includes(state) || ((state === "failed" || state === "cancelled") && doc.ready)) found.push({ key: "stop", text: "Stop…", ask: () => stop(doc, id) });
  if (["failed", "cancelled", "stopped"].includes(state) && doc.generation === doc.latest) {
    found.push({ key: "resume", main: true, text: left ? `Resume ${plural(left, "task")}…` : "Resume…", ask: () => resume(doc, id, left) });
  }
  if (LIVE.includes(state) && doc.generation === doc.canary) {
    found.push({ key: "back", text: `Roll back to @${doc.current}…`, ask: () => takeBack(doc.name, doc.canary, doc.current) });
    found.push({ key: "promote", main: true, text: `Promote @${doc.canary}…`, ask: () => promote(doc.name, doc.canary, doc.current) });
  }
  return found;
}

function cancel(doc, id) {
  ask({
    title: `Cancel ${id}?`,
    stops: true,
    points: [
      `${plural(doc.counts.running || 0, "running task")} ${doc.counts.running === 1 ? "is" : "are"} ended, nothing more is started.`,
      "What has succeeded is kept: Resume goes on from there.",
      doc.current && doc.current !== doc.generation ? `${doc.name}@${doc.current} serves on.` : null,
    ],
    verb: `Cancel ${id}`,
    act: async () => { await post(`${deployment(id)}/cancel`); return `${id} is being cancelled.`; },
  });
}

function stop(doc, id) {
  const rate = live.all("m/").length ? callsOf(doc) : 0;
  ask({
    title: `Stop ${id}?`,
    stops: true,
    typed: rate > 0 ? doc.name : null,
    why: rate > 0 ? `${rate.toFixed(1)} calls/s:` : "",
    points: [
      `${plural(doc.ready, "replica")} ${doc.ready === 1 ? "drains and ends" : "drain and end"}, parents before their parts.`,
      doc.current === doc.generation ? `Nothing of ${doc.name} is served then.` : null,
      "Resume brings it back, without training.",
    ],
    verb: `Stop ${id}`,
    act: async () => { await post(`${deployment(id)}/stop`); return `${id} is being stopped.`; },
  });
}

function callsOf(doc) {
  let calls = 0;
  for (const service of live.all("s/")) {
    if (service.deployment === doc.name && service.generation === doc.generation) {
      calls += live.get(`m/${service.service}`)?.rate || 0;
    }
  }
  return calls;
}

export function resume(doc, id, left = doc.total - (doc.counts.succeeded || 0)) {
  ask({
    title: `Resume ${id}?`,
    points: [
      left ? `${plural(left, "task")} that ${left === 1 ? "has" : "have"} not succeeded ${left === 1 ? "runs" : "run"} again; the other ${count(doc.total - left)} ${doc.total - left === 1 ? "is" : "are"} kept.` : "No task runs again.",
      "Replicas that are gone come back.",
      "The same code runs: deploy anew after a change of it.",
    ],
    verb: `Resume ${id}`,
    act: async () => { await post(`${deployment(id)}/resume`); return `${id} goes on.`; },
  });
}

export function scale(service) {
  ask({
    title: `Scale ${service.service}?`,
    field: `Replicas (${service.wanted} wanted now${service.bounds ? `, of ${service.bounds}` : ""}), a range or auto`,
    value: String(service.wanted),
    points: ["More are started at once; of fewer, those that end drain first.", "0 stops all of them: calls are then refused.", "A range such as 1..8 follows the calls; auto is what the tree says."],
    verb: "Scale",
    act: async (typed) => {
      const text = typed.trim();
      if (!/^(auto|\d+|\d+\.\.\d+)$/.test(text) || Number(text) > 1000) throw new Error("Give a whole number from 0 to 1000, a range such as 1..8, or auto.");
      const replicas = /^\d+$/.test(text) ? Number(text) : text;
      await post(`${deployment(service.deployment)}/scale`, { service: service.service, replicas });
      return typeof replicas === "number" ? `${service.service}: ${plural(replicas, "replica")} wanted.` : `${service.service}: ${replicas}.`;
    },
  });
}
