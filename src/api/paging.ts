/** Lists in pages: `limit` entries after the key `after`, in the order of keys. */

interface Page {
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}

/**
 * @param key orders the list and tells its entries apart; it is what `after` holds
 * @param url of the request, to which the next page's is made
 */
export function pageOf<T>(
  entries: readonly T[],
  key: (entry: T) => string,
  { limit, after }: Page,
  url: string,
): { page: T[]; next: string | null } {
  const keyed = entries.map((entry) => ({ key: key(entry), entry }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const rest = after === undefined ? keyed : keyed.filter((each) => each.key > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const next = last !== undefined && page.length < rest.length ? nextUrl(url, last.key) : null;
  return { page: page.map(({ entry }) => entry), next };
}

function nextUrl(url: string, after: string): string {
  const [path = '', query = ''] = url.split('?', 2);
  const parameters = new URLSearchParams(query);
  parameters.set('after', after);
  return `${path}?${parameters.toString()}`;
}

/** `*` and `?` stand for others, as in a shell. Names are short, so that no pattern costs much. */
export function fitsPattern(name: string, pattern: string | undefined): boolean {
  if (pattern === undefined) return true;
  // Each row of the table: whether the pattern so far covers the name up to there.
  let covered = Array.from({ length: name.length + 1 }, (_, i) => i === 0);
  for (const char of pattern) {
    let open = false;
    covered = covered.map((was, i) => {
      open ||= was;
      if (char === '*') return open;
      return i > 0 && (covered[i - 1] ?? false) && (char === '?' || char === name[i - 1]);
    });
  }
  return covered.at(-1) ?? false;
}
