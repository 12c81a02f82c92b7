/** Content negotiation (RFC 9110 §12.5.1). */

/**
 * The media type to answer with, of those there are, or null where the client takes none. The first wins a draw.
 * @param types best first; parameters (`;charset=…`) do not count
 */
export function negotiate(accept: string | undefined, types: readonly string[]): string | null {
  if (accept === undefined || accept.trim() === '') return types[0] ?? null;
  const ranges = accept.split(',').map((part) => {
    const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    const q = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1);
    return { range, q: Number.isNaN(q) ? 0 : q };
  });
  let best: { type: string; q: number } | null = null;
  for (const type of types) {
    // The most specific range that covers the type decides.
    const wanted = [type, `${type.split('/')[0] ?? ''}/*`, '*/*'];
    const fitting = wanted.flatMap((range) => ranges.filter((each) => each.range === range));
    const q = fitting[0]?.q ?? 0;
    if (q > 0 && (best === null || q > best.q)) best = { type, q };
  }
  return best?.type ?? null;
}
