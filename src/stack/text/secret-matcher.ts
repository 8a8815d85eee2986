/**
 * Searches a text for many forms (Aho-Corasick). The time depends only on the length of the text, not on the number or
 * similarity of the secrets.
 */
export interface SecretMatcher {
  /** Ranges of the text covered by a form, in order; overlapping ranges are merged. */
  spans(text: string): [from: number, to: number][];
  /** Length of the longest proper prefix of a form with which the text ends. */
  pendingLength(text: string): number;
}

/** Maximum cells of the transition table (4 MB). Larger automata look up transitions individually. */
const MOST_CELLS = 1024 * 1024;

/** Matches with one table lookup per character, because most lines contain no secret. */
function dense(
  byDepth: readonly number[],
  count: number,
  next: ReadonlyMap<number, number>,
  fail: Int32Array,
): Int32Array {
  const table = new Int32Array(byDepth.length * count);
  for (const node of byDepth)
    for (let unitClass = 1; unitClass < count; unitClass += 1) {
      const cell = node * count + unitClass;
      const fallback = node === 0 ? 0 : (table[(fail[node] as number) * count + unitClass] as number);
      table[cell] = next.get(cell) ?? fallback;
    }
  return table;
}

export function createMatcher(forms: readonly string[]): SecretMatcher {
  /** Class of each UTF-16 code unit that occurs in a form; 0 for all others. */
  const classes = new Uint16Array(65_536);
  let count = 1;
  for (const form of forms)
    for (let at = 0; at < form.length; at += 1) {
      const unit = form.charCodeAt(at);
      if (classes[unit] === 0) classes[unit] = count++;
    }
  const next = new Map<number, number>();
  const depth = [0];
  const whole = [false];
  const branches = [false];
  const parent = [0];
  const last = [0];
  for (const form of forms) {
    let node = 0;
    for (let at = 0; at < form.length; at += 1) {
      const key = node * count + (classes[form.charCodeAt(at)] as number);
      let child = next.get(key);
      if (child === undefined) {
        child = depth.length;
        next.set(key, child);
        depth.push(at + 1);
        whole.push(false);
        branches.push(false);
        parent.push(node);
        last.push(classes[form.charCodeAt(at)] as number);
        branches[node] = true;
      }
      node = child;
    }
    whole[node] = true;
  }
  const size = depth.length;
  const fail = new Int32Array(size);
  /** Length of the longest form that ends at a node. */
  const length = new Int32Array(size);
  const step = (from: number, unitClass: number): number => {
    let node = from;
    for (;;) {
      const child = next.get(node * count + unitClass);
      if (child !== undefined) return child;
      if (node === 0) return 0;
      node = fail[node] as number;
    }
  };
  const byDepth = Array.from({ length: size }, (_, node) => node).sort(
    (a, b) => (depth[a] as number) - (depth[b] as number),
  );
  for (const node of byDepth) {
    if (node === 0) continue;
    const above = parent[node] as number;
    fail[node] = above === 0 ? 0 : step(fail[above] as number, last[node] as number);
    length[node] = whole[node] ? (depth[node] as number) : (length[fail[node] as number] as number);
  }
  const table = size * count <= MOST_CELLS ? dense(byDepth, count, next, fail) : null;
  const advance = (node: number, unitClass: number): number =>
    table === null ? step(node, unitClass) : (table[node * count + unitClass] as number);
  /** End of the first form in the text, or -1: the fast path for text without a form. */
  const firstEnd = (text: string, cells: Int32Array): number => {
    let node = 0;
    for (let at = 0; at < text.length; at += 1) {
      node = cells[node * count + (classes[text.charCodeAt(at)] as number)] as number;
      if (length[node] !== 0) return at;
    }
    return -1;
  };
  const longest = depth.reduce((most, one) => Math.max(most, one), 0);

  return {
    spans(text) {
      if (table !== null && firstEnd(text, table) < 0) return [];
      const spans: [number, number][] = [];
      let node = 0;
      for (let at = 0; at < text.length; at += 1) {
        const unitClass = classes[text.charCodeAt(at)] as number;
        if (unitClass === 0) {
          node = 0;
          continue;
        }
        node = advance(node, unitClass);
        const matched = length[node] as number;
        if (matched === 0) continue;
        let from = at + 1 - matched;
        for (let top = spans.at(-1); top !== undefined && top[1] > from; top = spans.at(-1)) {
          from = Math.min(from, top[0]);
          spans.pop();
        }
        spans.push([from, at + 1]);
      }
      return spans;
    },
    pendingLength(text) {
      let node = 0;
      for (let at = Math.max(0, text.length - longest); at < text.length; at += 1) {
        const unitClass = classes[text.charCodeAt(at)] as number;
        node = unitClass === 0 ? 0 : advance(node, unitClass);
      }
      while (node !== 0 && !branches[node]) node = fail[node] as number;
      return depth[node] as number;
    },
  };
}
