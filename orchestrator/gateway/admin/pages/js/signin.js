// The sign-in page: takes the token once, has it checked, and keeps nothing of it.
import { html, useState } from "../vendor/htm-preact.js";
import { post } from "./api.js";
import { Glyph, mark } from "./glyphs.js";
import { live } from "./live.js";

export function SignIn() {
  const [token, setToken] = useState("");
  const [shown, setShown] = useState(false);
  const [error, setError] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post("/api/session", { token });
      setToken("");
      live.locked = false;
      dispatchEvent(new Event("signed-in"));
      live.retry();
      live.draw();
    } catch (problem) {
      setError(problem.message);
    }
  };
  return html`<main class="sign-in"><p class="brand row">${mark} rootward</p><form class="card" onSubmit=${submit}>
    <h1>Sign in to ${location.hostname}</h1><p class="soft">This gateway is open to a network, so it asks for its token once per browser.</p>
    <label><b>Token</b><span class="with-show"><input class=${error ? "field wrong" : "field"} type=${shown ? "text" : "password"} name="token" autocomplete="current-password" autofocus aria-invalid=${String(Boolean(error))} aria-describedby="token-note" value=${token} onInput=${(event) => setToken(event.target.value)} /><button type="button" class="button plain small" onClick=${() => setShown(!shown)}>${shown ? "Hide" : "Show"}</button></span></label>
    <p id="token-note" class=${error ? "wrong-note" : "hidden-text"} role="alert">${error && html`<${Glyph} state="failed" />`}${error}</p>
    <button class="button main tall" type="submit" disabled=${!token}>Sign in</button>
    <p class="meta">The token is in the file that <code>rootward gateway serve</code> named at its start, on its machine. It is kept in a cookie that scripts cannot read, for 12 hours.</p></form></main>`;
}
