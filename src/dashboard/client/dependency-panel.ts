/** The services in the order of their dependencies: each column needs services of the columns before it. */
import { h, setAttribute } from "./dom.js";
import { signOf, toneOfService } from "./states.js";
import type { ServiceReport } from "./types.js";

export interface DependencyPanel {
  element: HTMLElement;
  update(services: readonly ServiceReport[]): void;
}

export function createDependencyPanel(): DependencyPanel {
  const columns = h("ol", { class: "columns" });
  const element = h("section", { class: "dependencies", "aria-label": "Dependencies" }, columns);
  let shown = "";
  return {
    element,
    update: (services) => {
      const layers = layersOf(services);
      element.hidden = layers.length < 2;
      const key = JSON.stringify(layers.map((layer) => layer.map(({ service, state }) => [service, state])));
      if (key === shown) return;
      shown = key;
      columns.replaceChildren(
        ...layers.map((layer) =>
          h(
            "li",
            {},
            ...layer.map(({ service, state, depends_on }) => {
              const sign = h("span", { class: "sign", "aria-hidden": "true" }, signOf(state));
              const node = h("span", { class: "node" }, sign, service);
              if (depends_on.length > 0) setAttribute(node, "title", `needs ${depends_on.join(", ")}`);
              node.dataset.tone = toneOfService(state);
              return node;
            }),
          ),
        ),
      );
    },
  };
}

/** Services without dependencies first; every other service after the last one that it depends on. */
function layersOf(services: readonly ServiceReport[]): ServiceReport[][] {
  const layers: ServiceReport[][] = [];
  const placed = new Set<string>();
  const names = new Set(services.map(({ service }) => service));
  let rest = [...services];
  while (rest.length > 0) {
    const ready = rest.filter(({ depends_on }) => depends_on.every((name) => placed.has(name) || !names.has(name)));
    // Compose refuses cycles; a report with one is shown in a single column.
    const layer = ready.length === 0 ? rest : ready;
    layers.push(layer);
    for (const { service } of layer) placed.add(service);
    rest = rest.filter((service) => !layer.includes(service));
  }
  return layers;
}
