// Elements, made without HTML text: keys and messages of strangers are shown, never read as markup.

/** An element with attributes (`class`, `onclick`, …) and children; strings become text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.flat());
  return element;
}

export const find = (id) => document.getElementById(id);

/** Replaces what an element holds. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** Asks before something is done that others will notice. */
export function confirm(title, text, yes) {
  const dialog = find("confirm");
  show(find("confirm-title"), title);
  show(find("confirm-text"), text);
  show(find("confirm-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

/** A line above everything, until the next one; nothing: gone. */
export function notice(text) {
  const line = find("notice");
  line.hidden = !text;
  show(line, text ?? "");
}
