/** Asks the backend every two seconds. Everything that it says is set as text. */
const api = document.body.dataset.api;
const POLL_MS = 2000;

async function call(path, body) {
  const response = await fetch(api + path, {
    signal: AbortSignal.timeout(5000),
    ...(body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { ok: response.ok, data: await response.json() };
}

function showHealth(health) {
  for (const cell of document.querySelectorAll("[data-health]")) {
    const value = health[cell.dataset.health] ?? "unknown";
    cell.textContent = value;
    cell.className = value === "ok" ? "good" : "bad";
  }
}

const showHits = (data) => {
  document.querySelector("#hit-count").textContent = data.hits;
};

function showItems({ items }) {
  const list = document.querySelector("#item-list");
  list.replaceChildren(
    ...items.map(({ id, name }) => {
      const entry = document.createElement("li");
      entry.textContent = `${name} (#${id})`;
      return entry;
    }),
  );
}

async function refresh() {
  // A 503 has a body too: it says which of the two stores is away.
  const health = await call("/health").catch(() => ({ data: { status: "not reachable" } }));
  showHealth(health.data);
  if (!health.ok) return;
  const [hits, items] = await Promise.all([call("/hits"), call("/items")]);
  if (hits.ok) showHits(hits.data);
  if (items.ok) showItems(items.data);
}

async function poll() {
  await refresh().catch(() => {});
  setTimeout(poll, POLL_MS);
}

document.querySelector("#hit").addEventListener("click", async () => {
  const { ok, data } = await call("/hits", {}).catch(() => ({ ok: false }));
  if (ok) showHits(data);
});

document.querySelector("#add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const { ok } = await call("/items", { name: new FormData(form).get("name") }).catch(() => ({ ok: false }));
  if (!ok) return;
  form.reset();
  await refresh().catch(() => {});
});

poll();
