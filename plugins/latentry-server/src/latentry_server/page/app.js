// The page: a form drawn from schemas, and the pictures that come of it.
import { base64, get, send } from "./api.js";
import { enter, entry, simple, values } from "./form.js";
import { cancelAll, show, showRecipe } from "./jobs.js";

const at = (selector) => document.querySelector(selector);
const MAIN = ["steps", "guidance", "seed", "width", "height", "count"];
const APART = ["prompt", "negative", "model", "scheduler"];
const PANELS = ["Sampling", "Guidance", "Starting from a picture", "Device, memory and attention"];
let schemas;

function say(text) {
  at("#status").textContent = text;
}

function complain(error) {
  at("#error").hidden = !error;
  at("#error").textContent = error ? error.message : "";
}

function drawForm(request) {
  for (const name of MAIN) at("#main").append(entry(name, request.properties[name], "main"));
  for (const panel of PANELS) {
    const set = document.createElement("fieldset");
    const legend = Object.assign(document.createElement("legend"), { textContent: panel });
    const row = Object.assign(document.createElement("div"), { className: "row" });
    for (const [name, property] of Object.entries(request.properties)) {
      const files = ["init_image", "mask", "plan", "guidance_model"].includes(name);
      if (property["x-panel"] === panel && !MAIN.includes(name) && !APART.includes(name) && !files && simple(property)) {
        row.append(entry(name, property, "more"));
      }
    }
    set.append(legend, row);
    at("#panels").append(set);
  }
}

/** Offers the schedulers that fit the model, the recommended ones first. */
async function offerSchedulers() {
  const chosen = at("#scheduler").value;
  const task = at("#init-image").files.length ? (at("#mask").files.length ? "inpainting" : "image-to-image") : "text-to-image";
  const rows = (await get(`/matrix?model=${encodeURIComponent(at("#model").value)}`)).filter((row) => row.task === task);
  const group = (label, kept) => {
    const element = Object.assign(document.createElement("optgroup"), { label });
    element.append(...kept.map((row) => {
      const option = new Option(row.scheduler, row.scheduler);
      option.disabled = !row.fits;
      option.title = row.why_not;
      return option;
    }));
    return element;
  };
  at("#scheduler").replaceChildren(
    new Option("recommended", ""),
    group("Recommended", rows.filter((row) => row.fits && row.recommended)),
    group("Others", rows.filter((row) => row.fits && !row.recommended)),
    group("Do not fit", rows.filter((row) => !row.fits)),
  );
  if (rows.some((row) => row.scheduler === chosen && row.fits)) at("#scheduler").value = chosen;
  at("#others").replaceChildren(...rows.filter((row) => row.fits).map((row) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: row.scheduler });
    label.append(box, row.scheduler);
    return label;
  }));
  offerOptions();
}

function offerOptions() {
  const schema = schemas.schedulers[at("#scheduler").value];
  const entries = Object.entries(schema?.properties || {}).filter(([, property]) => simple(property));
  at("#scheduler-options").replaceChildren(...entries.map(([name, property]) => entry(name, property, "option")));
  at("#options").hidden = entries.length === 0;
}

async function jobBodies() {
  const request = { ...values(at("#panels")), ...values(at("#main")), prompt: at("#prompt").value };
  if (at("#negative").value) request.negative = at("#negative").value;
  if (at("#model").value) request.model = at("#model").value;
  const others = [...at("#others").querySelectorAll(":checked")].map((box) => box.value);
  const first = at("#scheduler").value;
  if (others.length) request.seed ??= Math.floor(Math.random() * 2 ** 32);
  const pictures = {};
  for (const [name, field] of [["init_image", "#init-image"], ["mask", "#mask"]]) {
    if (at(field).files.length) pictures[name] = await base64(at(field).files[0]);
  }
  const body = (scheduler, options) => ({
    request: { ...request, ...(scheduler && { scheduler }), ...(Object.keys(options).length && { scheduler_options: options }) },
    ...pictures,
  });
  const rest = others.filter((name) => name !== first).map((name) => body(name, {}));
  return first || !rest.length ? [body(first, first ? values(at("#scheduler-options")) : {}), ...rest] : rest;
}

async function draw() {
  complain(null);
  try {
    for (const body of await jobBodies()) show(await send("POST", "/jobs", body), { use });
  } catch (error) {
    complain(error);
  }
}

/** Enters the settings of a recipe. */
async function use(recipe) {
  const request = recipe.request;
  at("#prompt").value = Array.isArray(request.prompt) ? request.prompt[recipe.index] : request.prompt;
  at("#negative").value = request.negative;
  if ([...at("#model").options].some((option) => option.value === request.model)) at("#model").value = request.model;
  await offerSchedulers();
  at("#scheduler").value = request.scheduler.split(":").pop();
  offerOptions();
  enter(at("#main"), request);
  enter(at("#scheduler-options"), request.scheduler_options);
  at("#prompt").focus();
  say("The settings of that picture are entered.");
}

async function readRecipe(picture) {
  complain(null);
  try {
    const recipe = await send("POST", "/recipe", { image: await base64(picture) });
    await use(recipe);
    showRecipe(recipe);
  } catch (error) {
    complain(error);
  }
}

function listen() {
  at("#form").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  at("#stop").addEventListener("click", cancelAll);
  at("#scheduler").addEventListener("change", offerOptions);
  for (const field of ["#model", "#init-image", "#mask"]) at(field).addEventListener("change", () => offerSchedulers().catch(complain));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("#form").requestSubmit();
    if (event.key === "Escape" && !at("#dialog").open) cancelAll();
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) readRecipe(event.dataTransfer.files[0]);
  });
}

async function begin() {
  listen();
  say("Reading what is installed");
  const offered = await get("/models");
  at("#model").append(...offered.models.map((model) => new Option(model.name, model.name)));
  if (offered.default) at("#model").value = offered.default;
  schemas = await get("/schema");
  drawForm(schemas.request);
  await offerSchedulers();
  say(`${offered.models.length} models, ${Object.keys(schemas.schedulers).length} schedulers`);
  for (const job of await get("/jobs")) show(job, { use, first: false });
}

begin().catch((error) => {
  complain(error);
  say("");
});
