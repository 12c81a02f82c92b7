/** `weft top`: the busiest ports, flows or senders first. */
import type { BridgeStatistics } from '../../api/observe-schemas.js';
import type { TopView } from '../../api/schemas.js';
import { path } from '../client.js';
import type { Context, Options, Result } from '../context.js';
import { failure, usageError } from '../errors.js';
import { orDash, short, table } from '../text.js';
import { onlyBridge } from './bridges.js';

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
  if (options['by'] === 'flows' || options['by'] === 'macs')
    return busiest(context, bridge, options['by'], most);
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

/** Looking switches accounting on: the first answer is empty, and asked for again. */
async function busiest(
  context: Context,
  given: string | undefined,
  by: 'flows' | 'macs',
  limit: number,
): Promise<Result> {
  const bridge = await onlyBridge(context, given);
  const ask = () =>
    context.client.get<TopView>(path('bridges', bridge, 'top'), { limit: Math.min(limit, 1000) });
  let view = await ask();
  if (view.refused !== null) throw failure(`${bridge}: ${view.refused}`);
  for (let tries = 0; tries < FIRST_LOOKS && view.flowCount === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, FIRST_LOOK_MS));
    view = await ask();
  }
  if (by === 'macs') {
    const rows = view.macs.map((each) => [
      each.mac,
      String(each.vlan),
      orDash(each.port),
      short(each.packetsPerS),
      short(each.bitsPerS),
    ]);
    const titles = ['MAC', 'VLAN>', 'PORT', 'PPS>', 'BPS>'];
    return { json: view.macs, text: rows.length === 0 ? QUIET : table(context.style, titles, rows) };
  }
  const rows = view.flows.map((each) => [
    endOf(each.source, each.sourcePort, each.protocol),
    endOf(each.destination, each.destinationPort, each.protocol),
    PROTOCOLS.get(each.protocol) ?? String(each.protocol),
    String(each.vlan),
    orDash(each.inPort),
    each.outputs > 1 ? `${each.outputs} ports` : orDash(each.outPort),
    short(each.packetsPerS),
    short(each.bitsPerS),
  ]);
  const titles = ['SOURCE', 'DESTINATION', 'PROTO', 'VLAN>', 'IN', 'OUT', 'PPS>', 'BPS>'];
  return { json: view.flows, text: rows.length === 0 ? QUIET : table(context.style, titles, rows) };
}

const QUIET = 'no IP packets in the last seconds';
const FIRST_LOOKS = 6;
const FIRST_LOOK_MS = 500;
const PROTOCOLS = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmp6'],
  [132, 'sctp'],
]);

function endOf(address: string, port: number, protocol: number): string {
  if (protocol !== 6 && protocol !== 17 && protocol !== 132) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
