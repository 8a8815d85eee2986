/**
 * The only way in which this page makes elements. Text goes in as text: there is no path from what a service wrote to
 * markup, and the page's policy (Trusted Types) refuses one.
 */

export type Child = Node | string | null | undefined | false;
type Value = string | number | boolean | null | undefined | ((event: Event) => void);

function put(element: Element, properties: Record<string, Value>, children: Child[]): void {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined && child !== false) element.append(child);
}

/** Attributes by their names; functions are listeners, named by their event. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  put(element, properties, children);
  return element;
}

export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  properties: Record<string, Value> = {},
  ...children: Child[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  put(element, properties, children);
  return element;
}

/** Changes text only when it differs, so that selections and readers are not disturbed. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string | null): void {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Null for other schemes: only web addresses become links. */
export function webAddress(text: string): string | null {
  return /^https?:\/\/[^\s]+$/.test(text) && URL.canParse(text) ? text : null;
}

let made = 0;
export const uniqueId = (prefix: string): string => {
  made += 1;
  return `${prefix}-${made}`;
};
