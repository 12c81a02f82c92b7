/** `weft top`: the busiest ports first. */
import type { BridgeStatistics } from '../../api/observe-schemas.js';
import type { Context, Options, Result } from '../context.js';
import { usageError } from '../errors.js';
import { short, table } from '../text.js';

type Statistics = BridgeStatistics[];
type Row = { readonly bridge: string } & Statistics[number]['ports'][number];

const ORDERS = {
  bits: ({ rx, tx }: Row) => (rx.bitsPerS ?? 0) + (tx.bitsPerS ?? 0),
  packets: ({ rx, tx }: Row) => (rx.packetsPerS ?? 0) + (tx.packetsPerS ?? 0),
  drops: ({ rx, tx, dropsPerS }: Row) => (dropsPerS ?? 0) * 1e6 + rx.dropped + tx.dropped,
  total: ({ rx, tx }: Row) => rx.bytes + tx.bytes,
} as const;
export const TOP_ORDERS = Object.keys(ORDERS);

export async function top(context: Context, bridge: string | undefined, options: Options): Promise<Result> {
  const order = ORDERS[options['sort'] as keyof typeof ORDERS];
  const most = Number(options['lines']);
  if (!Number.isInteger(most) || most < 1) throw usageError('--lines: a number from 1 on is wanted');
  const { bridges } = await context.client.get<{ bridges: Statistics }>('/v1/statistics');
  const ports = bridges
    .filter((each) => bridge === undefined || each.bridge === bridge)
    .flatMap((each) => each.ports.map((port): Row => ({ bridge: each.bridge, ...port })))
    .sort((a, b) => order(b) - order(a))
    .slice(0, most);
  const rows = ports.map(({ bridge: of, port, rx, tx, drops, dropsPerS }) => [
    of,
    port,
    short(rx.packetsPerS),
    short(rx.bitsPerS),
    short(tx.packetsPerS),
    short(tx.bitsPerS),
    short(dropsPerS),
    short(rx.bytes),
    short(tx.bytes),
    String(Object.values(drops).reduce((sum, n) => sum + n, rx.dropped + tx.dropped)),
  ]);
  const titles = [
    'BRIDGE',
    'PORT',
    'RX PPS>',
    'RX BPS>',
    'TX PPS>',
    'TX BPS>',
    'DROPS/S>',
    'RX BYTES>',
    'TX BYTES>',
    'DROPPED>',
  ];
  return { json: ports, text: rows.length === 0 ? 'no ports' : table(context.style, titles, rows) };
}
