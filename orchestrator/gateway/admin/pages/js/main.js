// Starts the page: frame, routes, keyboard. Each view has a file of its own.
import { html, render, useEffect, useState } from "../vendor/htm-preact.js";
import { DeploymentView } from "./deployment.js";
import { Question, Toasts, isAsking, toast } from "./dialogs.js";
import { beginFrame } from "./glyphs.js";
import { HomeView, ServicesView } from "./home.js";
import { keyPressed } from "./keys.js";
import { live } from "./live.js";
import { Bones } from "./parts.js";
import { Empty, Missing } from "./empty.js";
import { parse } from "./route.js";
import { Palette } from "./search.js";
import { ServiceView } from "./service.js";
import { SignIn } from "./signin.js";
import { Banner, Bottom, Top } from "./top.js";
import { WorkersView } from "./workers.js";

function View({ route }) {
  if (!live.known) return html`<main><${Bones} rows=${6} /></main>`;
  if (route.view === "deployment") return html`<${DeploymentView} key=${route.id} route=${route} />`;
  if (route.view === "service") return html`<${ServiceView} key=${route.path} path=${route.path} />`;
  if (route.view === "services") return html`<${ServicesView} />`;
  if (route.view === "workers") return html`<${WorkersView} />`;
  if (route.view === "unknown") return html`<${Missing} what="page" name=${route.path} />`;
  return live.all("d/").length ? html`<${HomeView} />` : html`<${Empty} />`;
}

function App() {
  const [, again] = useState(0);
  useEffect(() => {
    const draw = () => again((n) => n + 1);
    live.listeners.add(draw);
    addEventListener("hashchange", draw);
    addEventListener("keydown", keyPressed);
    return () => { live.listeners.delete(draw); removeEventListener("hashchange", draw); removeEventListener("keydown", keyPressed); };
  }, []);
  beginFrame();
  const route = parse();
  const stale = live.stale();
  live.watch(route.view === "deployment" && route.id.includes("@") ? [route.id] : []);
  document.documentElement.classList.toggle("stale", Boolean(stale));
  document.title = title(route);
  if (live.locked) return html`<${SignIn} />`;
  return html`<${Top} route=${route} stale=${stale} /><${Banner} stale=${stale} /><${View} route=${route} /><${Bottom} route=${route} />
    ${isAsking() ? html`<${Question} />` : html`<${Palette} />`}<${Toasts} />`;
}

function title(route) {
  if (route.view === "deployment") return `${route.id} - rootward`;
  if (route.view === "service") return `${route.path} - rootward`;
  return "rootward";
}

live.onBack = (missed) => toast(missed ? `Live again; ${missed} ${missed === 1 ? "change" : "changes"}.` : "Live again.");
live.watch(parse().view === "deployment" ? [parse().id].filter((id) => id.includes("@")) : []);
render(html`<${App} />`, document.getElementById("app"));
live.start();
