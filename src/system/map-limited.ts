/** Maps a list with a limited number of calls at the same time, in the list's order. */
export async function mapLimited<T, R>(items: readonly T[], most: number, map: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const work = async (): Promise<void> => {
    for (const [at, item] of entries) results[at] = await map(item);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, work));
  return results;
}
