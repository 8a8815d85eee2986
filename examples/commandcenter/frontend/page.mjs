/** The page. Values reach the browser as escaped text and attributes, never as script. */
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

export function page({ projectName, apiBaseUrl }) {
  const name = escapeHtml(projectName);
  const api = escapeHtml(apiBaseUrl);
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${name}</title>
  <link rel="stylesheet" href="/style.css">
  <script type="module" src="/client.js"></script>
</head>
<body data-api="${api}">
  <header>
    <h1>${name}</h1>
    <p>Backend at <a href="${api}/state">${api}</a></p>
  </header>
  <main>
    <section aria-labelledby="health">
      <h2 id="health">Health</h2>
      <dl aria-live="polite">
        <dt>Backend</dt><dd data-health="status">asking…</dd>
        <dt>Postgres</dt><dd data-health="postgres">…</dd>
        <dt>Redis</dt><dd data-health="redis">…</dd>
      </dl>
    </section>
    <section aria-labelledby="hits">
      <h2 id="hits">Hits</h2>
      <p><output id="hit-count">…</output> counted in redis</p>
      <button type="button" id="hit">Count one more</button>
    </section>
    <section aria-labelledby="items">
      <h2 id="items">Items</h2>
      <form id="add">
        <label>New item <input name="name" maxlength="200" required autocomplete="off"></label>
        <button>Add</button>
      </form>
      <ul id="item-list"></ul>
    </section>
  </main>
</body>
</html>
`;
}
