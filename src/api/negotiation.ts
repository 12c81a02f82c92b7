/** Whether an Accept header (RFC 9110 §12.5.1) wants text/plain rather than JSON. JSON wins a draw. */
export function prefersText(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const quality = (type: 'text/plain' | 'application/json'): number => {
    const wanted = [type, `${type.split('/')[0]}/*`, '*/*'];
    let best: { rank: number; q: number } = { rank: wanted.length, q: 0 };
    for (const part of accept.split(',')) {
      const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
      const rank = wanted.indexOf(range);
      if (rank < 0 || rank >= best.rank) continue;
      const q = Number(parameters.find((each) => each.startsWith('q='))?.slice(2) ?? 1);
      best = { rank, q: Number.isNaN(q) ? 0 : q };
    }
    return best.q;
  };
  return quality('text/plain') > quality('application/json');
}
