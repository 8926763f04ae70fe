// Forms drawn from JSON Schemas.

/** The kinds of value that a property takes, apart from null. */
function kinds(property) {
  const all = (property.anyOf || [property]).filter((kind) => kind.type !== "null");
  const plain = all.filter((kind) => !("$ref" in kind)); // a number, where a curve would do as well
  return plain.length ? plain : all;
}

/** Whether a property is one value that an input can hold. */
export function simple(property) {
  return kinds(property).every((kind) => kind.enum || "const" in kind || ["string", "number", "integer", "boolean"].includes(kind.type));
}

function control(property) {
  const [kind, ...others] = kinds(property);
  const choices = kind.enum || (kind.type === "boolean" ? [true, false] : null);
  if (choices) {
    const select = document.createElement("select");
    select.append(new Option(shown(property), ""), ...choices.map((choice) => new Option(String(choice), JSON.stringify(choice))));
    return select;
  }
  const input = document.createElement("input");
  if (others.length === 0 && ["number", "integer"].includes(kind.type)) {
    input.type = "number";
    input.step = kind.type === "integer" ? 1 : "any";
    if ("minimum" in kind) input.min = kind.minimum;
    if ("maximum" in kind) input.max = kind.maximum;
    input.inputMode = kind.type === "integer" ? "numeric" : "decimal";
  }
  input.placeholder = shown(property);
  return input;
}

function shown(property) {
  const value = property.default;
  return value === undefined || value === null || value === "" ? "automatic" : String(value);
}

/** A labelled input for a property; its value is read by `values`. */
export function entry(name, property, prefix) {
  const box = document.createElement("div");
  const label = document.createElement("label");
  const input = control(property);
  input.id = label.htmlFor = `${prefix}-${name}`;
  input.dataset.name = name;
  label.textContent = property.title + (property["x-unit"] ? ` (${property["x-unit"]})` : "");
  label.title = input.title = property.description || "";
  if (property.description) input.setAttribute("aria-description", property.description);
  box.append(label, input);
  return box;
}

/** What was entered, by name; what is left empty is left to the server. */
export function values(container) {
  const found = {};
  for (const input of container.querySelectorAll("[data-name]")) {
    if (input.value === "") continue;
    found[input.dataset.name] = read(input);
  }
  return found;
}

function read(input) {
  if (input.tagName === "SELECT") return JSON.parse(input.value);
  if (input.type === "number") return Number(input.value);
  const number = Number(input.value);
  return input.value.trim() !== "" && Number.isFinite(number) && input.dataset.name !== "prompt" ? number : input.value;
}

/** Enters values that a recipe has. */
export function enter(container, given) {
  for (const input of container.querySelectorAll("[data-name]")) {
    const value = given[input.dataset.name];
    if (value === undefined || value === null || typeof value === "object") input.value = "";
    else input.value = input.tagName === "SELECT" ? JSON.stringify(value) : value;
  }
}
