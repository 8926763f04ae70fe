// Jobs on the page: each a card with its pictures coming.
import { events, file, get, send } from "./api.js";

const results = document.querySelector("#results");
const live = new Map();

function made(tag, text, attributes = {}) {
  const element = Object.assign(document.createElement(tag), attributes);
  if (text) element.textContent = text;
  return element;
}

function button(text, action) {
  const element = made("button", text, { type: "button" });
  element.addEventListener("click", action);
  return element;
}

// one that has ended meanwhile, or whose events are still being read, keeps its pictures
const cancel = (id) => send("DELETE", `/jobs/${id}?forget=false`);
export const cancelAll = () => Promise.allSettled([...live.keys()].map(cancel));

/** Shows a job, and follows it to its end. */
export async function show(job, { use, first = true }) {
  document.querySelector(".empty")?.remove();
  const card = made("article", "", { className: "card" });
  card.dataset.job = job.id;
  const request = job.request;
  const title = made("h2", (request.scheduler || "the model's own scheduler").split(":").pop());
  const about = made("p", request.prompt);
  const pictures = made("div", "", { className: "pictures" });
  const bar = made("progress", "", { max: 1, value: 0 });
  bar.setAttribute("aria-label", `Progress of ${title.textContent}`);
  const state = made("p", job.text);
  const tools = made("div", "", { className: "tools" });
  card.append(title, pictures, bar, state, about, tools);
  results[first ? "prepend" : "append"](card);
  tools.append(button("Cancel", () => cancel(job.id)));
  live.set(job.id, card);
  try {
    for await (const event of events(job.id)) await happened(event, { job, card, pictures, bar, state });
  } catch (error) {
    state.textContent = error.message;
  }
  live.delete(job.id);
  bar.remove();
  pictures.querySelectorAll(".rough").forEach((image) => image.remove());
  await finish(job.id, tools, title, use);
}

async function happened(event, { job, pictures, bar, state }) {
  if (event.event === "step") {
    bar.value = event.steps ? event.step / event.steps : 0;
    state.textContent = event.steps ? `${event.text}, step ${event.step} of ${event.steps}` : event.text;
  } else if (event.event === "preview") {
    place(pictures, event.index, `data:${event.type};base64,${event.image}`, "coming", true);
  } else if (event.event === "drawn") {
    for (const index of event.pictures) {
      place(pictures, index, await file(`/jobs/${job.id}/images/${index}.png`), job.request.prompt, false);
    }
  } else if (event.event === "ended") {
    state.textContent = event.error ? [event.error.what, event.error.why].join(" ") : event.state;
    state.classList.toggle("fault", event.state === "failed");
  }
}

function place(pictures, index, source, words, rough) {
  let image = pictures.querySelector(`[data-index="${index}"]`);
  if (!image) {
    image = made("img", "", { decoding: "async" });
    image.dataset.index = index;
    pictures.append(image);
  }
  image.src = source;
  image.alt = `Picture ${index + 1}: ${words}`;
  image.classList.toggle("rough", rough);
}

async function finish(id, tools, title, use) {
  tools.replaceChildren();
  const job = await get(`/jobs/${id}`).catch(() => null);
  if (job === null || job.pictures.length === 0) return;
  const index = job.pictures[0];
  const recipe = await get(`/jobs/${id}/recipes/${index}`);
  title.textContent = `${recipe.request.scheduler.split(":").pop()}, ${recipe.request.steps} steps, seed ${recipe.request.seed}`;
  tools.append(button("Use again", () => use(recipe)), button("Recipe", () => showRecipe(recipe)));
  for (const number of job.pictures) {
    const link = made("a", job.pictures.length > 1 ? `Save ${number + 1}` : "Save", { download: `latentry-${id.slice(0, 8)}-${number}.png` });
    link.href = await file(`/jobs/${id}/images/${number}.png`);
    tools.append(link);
  }
}

export function showRecipe(recipe) {
  document.querySelector("#recipe").textContent = JSON.stringify(recipe, null, 2);
  document.querySelector("#dialog").showModal();
}
