// The server's own interface.
const PREFIX = "/latentry/v1";
const field = document.querySelector("#key");
field.value = sessionStorage.getItem("key") || "";
field.addEventListener("change", () => {
  sessionStorage.setItem("key", field.value);
  location.reload();
});

/** A fault with the server's own words. */
export class Fault extends Error {
  constructor(data) {
    super([data.what, data.why, data.remedy].filter(Boolean).join(" "));
    this.field = data.field;
  }
}

async function answered(path, options = {}) {
  const headers = { ...options.headers };
  if (field.value) headers.Authorization = `Bearer ${field.value}`;
  let answer;
  try {
    answer = await fetch(PREFIX + path, { ...options, headers });
  } catch {
    throw new Fault({ what: "The server does not answer." });
  }
  if (answer.status === 401) field.parentElement.hidden = false;
  if (answer.ok) return answer;
  throw new Fault(await answer.json().catch(() => ({ what: `The server answered ${answer.status}.` })));
}

export const get = async (path) => (await answered(path)).json();
export const file = async (path) => URL.createObjectURL(await (await answered(path)).blob());

export async function send(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  return (await answered(path, options)).json();
}

/** The events of a job, from its first to its last. */
export async function* events(job) {
  const reader = (await answered(`/jobs/${job}/events`)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
  }
}

export function base64(picture) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.onerror = () => reject(new Fault({ what: "The file cannot be read." }));
    reader.readAsDataURL(picture);
  });
}
