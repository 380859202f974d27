// Numbers, times and words as the design writes them. Pure functions.
const NARROW = "\u202f";

export function duration(seconds) {
  if (seconds == null || !isFinite(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s < 1) return `${Math.round(s * 1000)} ms`;
  if (s < 59.95) return `${s.toFixed(1)} s`;
  if (s < 3600) {
    const whole = Math.round(s);
    return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  }
  if (s < 86400) {
    const minutes = Math.round(s / 60);
    return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  }
  return `${Math.round(s / 86400)} d`;
}

export function age(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

export function latency(seconds) {
  if (seconds == null) return "–";
  const ms = seconds * 1000;
  if (ms < 0.05) return "<0.1 ms";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

export function count(number) {
  return number.toLocaleString("en-US");
}

export function shortCount(number) {
  return number >= 1000 ? `${(number / 1000).toFixed(1)}k` : String(number);
}

export function perCent(share, digits = 0) {
  const value = share * 100;
  if (value > 0 && value < 0.05 && digits) return `<0.1${NARROW}%`;
  return `${value.toFixed(digits)}${NARROW}%`;
}

export function rate(value) {
  if (value == null) return "–";
  return value >= 1000 ? count(Math.round(value)) : value.toFixed(1);
}

export function plural(number, noun, many = `${noun}s`) {
  return `${count(number)} ${number === 1 ? noun : many}`;
}

const two = (n) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function clock(at, withSeconds = false) {
  const then = new Date(at * 1000);
  const time = `${two(then.getHours())}:${two(then.getMinutes())}`;
  if (Math.abs(Date.now() / 1000 - at) > 86400) return `${then.getDate()} ${MONTHS[then.getMonth()]}`;
  return withSeconds ? `${time}:${two(then.getSeconds())}` : time;
}

export function logClock(at) {
  const then = new Date(at * 1000);
  const day = new Date().toDateString() === then.toDateString()
    ? "" : `${then.getDate()} ${MONTHS[then.getMonth()]} `;
  const ms = String(then.getMilliseconds()).padStart(3, "0");
  return `${day}${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}.${ms}`;
}

export function fullTime(at) {
  return at ? new Date(at * 1000).toString() : "";
}

// Shortened in the middle: both ends of a name tell it from its siblings.
export function middle(text, most) {
  const letters = Array.from(text);
  if (letters.length <= most) return text;
  const front = Math.ceil((most - 1) / 2);
  return `${letters.slice(0, front).join("")}…${letters.slice(letters.length - (most - 1 - front)).join("")}`;
}

export function lastPart(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

const DOING = { train: "Training", prepare: "Warming", deploy: "Deploying", eval: "Evaluating" };
const DONE = { train: "trained", prepare: "warmed up", deploy: "deployed", eval: "evaluated" };
const NOUN = { train: "Training", prepare: "Warm-up", deploy: "Deployment", eval: "Evaluation" };
export const doing = (kind) => DOING[kind] || kind;
export const done = (kind) => DONE[kind] || kind;
export const noun = (kind) => NOUN[kind] || kind;

export const stateWord = (state) => (state === "skipped" ? "not started" : state);
