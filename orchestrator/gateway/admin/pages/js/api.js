// Requests to the gateway: errors keep the words of the API; what is not allowed asks to sign in.
export class ApiError extends Error {
  constructor(status, type, message) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

export async function get(path, params) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params || {})) if (value != null) query.set(key, value);
  const text = query.toString();
  return answer(await fetch(text ? `${path}?${text}` : path, { headers: { accept: "application/json" } }));
}

export async function post(path, body) {
  return answer(await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(body || {}),
  }));
}

async function answer(response) {
  let told = null;
  try {
    told = await response.json();
  } catch { /* An answer that isn't JSON is told by its status. */ }
  if (response.ok) return told;
  const error = told?.error || { type: "Error", message: `The gateway answered ${response.status}.` };
  throw new ApiError(response.status, error.type, error.message);
}

export const deployment = (id) => `/api/deployments/${encodeURIComponent(id)}`;
export const service = (path) => `/services/${path.split("/").map(encodeURIComponent).join("/")}`;
