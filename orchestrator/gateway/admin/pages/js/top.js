// The bar at the top, the banner when nothing is heard, and the bar at the bottom of a phone.
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { get, post } from "./api.js";
import { age, clock } from "./format.js";
import { Glyph, icons, mark } from "./glyphs.js";
import { live } from "./live.js";
import { openPalette } from "./search.js";
import { toast } from "./dialogs.js";

const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: icons.system, light: icons.sun, dark: icons.moon };

export function Top({ route, stale }) {
  const services = live.all("s/").length;
  const workers = live.all("w/").filter((each) => each.state !== "lost").length;
  const link = (href, view, text, number) => html`<a class="tab-link" href=${href} aria-current=${route.view === view || (view === "services" && route.view === "service") || (view === "home" && route.view === "deployment") ? "page" : undefined}>${text}${number ? html` <span>${number}</span>` : null}</a>`;
  return html`<header class="top">
    <a class="brand" href="/#">${mark}<span>rootward</span></a>
    <nav class="row" aria-label="Views">${link("/#", "home", "Home")}${link("/#/services", "services", "Services", services)}${link("/#/workers", "workers", "Workers", workers)}</nav>
    <span class="grow"></span>
    <button class="find" onClick=${openPalette} title="Search (/)" aria-label="Find a module, service, worker">${icons.search}<span class="word">Find a module, service, worker</span><kbd>/</kbd></button>
    <${Connection} stale=${stale} /><${Theme} /><${Person} /></header>`;
}

function Connection({ stale }) {
  if (!live.known) return html`<span class="live"><span class="meta">connecting</span></span>`;
  if (stale?.gone) return html`<span class="live" role="status"><${Glyph} state="failed" />Gateway gone<span class="long"> since ${clock(stale.since + live.offset, true)}</span></span>`;
  if (stale) return html`<span class="live stale-mark" role="status"><i></i>Not live<span class="long"> since ${clock(stale.since + live.offset, true)}</span></span>`;
  const ago = live.changedAt ? `last change ${age(live.now() - live.changedAt)} ago` : "no change yet";
  return html`<span class="live" title=${ago}><i></i><span>Live</span><span class="long"> · ${ago}</span></span>`;
}

export function Banner({ stale }) {
  if (!stale) return null;
  const since = stale.since + live.offset;
  const seconds = Math.round(Date.now() / 1000 - stale.since);
  const next = stale.next ? Math.max(0, Math.ceil((stale.next - Date.now()) / 1000)) : 1;
  return html`<div class=${stale.gone ? "banner gone" : "banner"} role="alert"><${Glyph} state=${stale.gone ? "failed" : "degraded"} size=${16} />
    <span class="grow"><b>Not live.</b> ${stale.what} has not answered since ${clock(since, true)} <span aria-hidden="true">(${age(seconds)})</span>. What you see is from then; actions are off. Running services keep serving.</span>
    <span class="soft" aria-hidden="true">Trying again in ${next} s</span>
    <button class="button small" onClick=${() => live.retry()}>Try now</button></div>`;
}

function Theme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme || "system");
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const change = () => {
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("rootward-theme", next);
    } catch { /* It lasts as long as the page then. */ }
    setTheme(next);
  };
  const shown = theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : theme === "system" ? "light" : theme;
  return html`<button class="icon theme" onClick=${change} title=${`Theme: ${theme}. Change to ${next}`} aria-label=${`Theme: ${theme}`}>${THEME_ICONS[shown]}</button>`;
}

function Person() {
  const [signedIn, setSignedIn] = useState(false);
  useEffect(() => {
    const look = () => get("/api/session").then((told) => setSignedIn(told.signed_in), () => {});
    look();
    addEventListener("signed-in", look);
    return () => removeEventListener("signed-in", look);
  }, []);
  if (!signedIn) return null;
  const out = async () => {
    await post("/api/session", {});
    setSignedIn(false);
    toast("Signed out.");
    live.retry();
  };
  return html`<button class="icon" title="Sign out" aria-label="Sign out" onClick=${out}>${icons.person}</button>`;
}

export function Bottom({ route }) {
  const link = (href, view, text, icon) => html`<a href=${href} aria-current=${route.view === view || (view === "home" && route.view === "deployment") ? "page" : undefined}>${icon}${text}</a>`;
  return html`<nav class="bottom" aria-label="Views">${link("/#", "home", "Home", icons.home)}${link("/#/services", "services", "Services", icons.services)}${link("/#/workers", "workers", "Workers", icons.workers)}</nav>`;
}
