/** `weft fastpath`: whether the kernel forwards, what it has, and why not the rest. */
import type { BridgeFastPath, FastPathView, Megaflow, MegaflowsView } from '../../api/fastpath-schemas.js';
import { path } from '../client.js';
import type { Context, Options, Result } from '../context.js';
import { usageError } from '../errors.js';
import type { Style } from '../text.js';
import { count, duration, short, table } from '../text.js';
import { readBridges } from './bridges.js';

async function read(context: Context, bridge: string | undefined): Promise<FastPathView> {
  const view = await context.client.get<FastPathView>('/v1/fastpath');
  if (bridge === undefined) return view;
  // Asked by name, so that a bridge that is not there is an error.
  return {
    ...view,
    bridges: [await context.client.get<BridgeFastPath>(path('bridges', bridge, 'fastpath'))],
  };
}

export async function show(context: Context, bridge: string | undefined): Promise<Result> {
  const view = await read(context, bridge);
  const { style } = context;
  const rows = view.bridges.map(({ bridge: name, flows, masks, hits, misses }) => [
    name,
    String(flows.total),
    String(flows.kernel),
    String(masks),
    shareOf(hits, misses),
    String(view.bridges.length === 0 ? 0 : flows.total - flows.kernel),
  ]);
  const refused = view.bridges.flatMap(({ bridge: name, notOffloaded }) =>
    notOffloaded.map(({ reason, flows, sentence, remedy }) => ({ name, reason, flows, sentence, remedy })),
  );
  const reasons = new Map(refused.map((each) => [each.reason, each]));
  const parts = [
    headOf(style, view),
    table(style, ['BRIDGE', 'MEGAFLOWS>', 'IN KERNEL>', 'MASKS>', 'BY KERNEL>', 'NOT IN KERNEL>'], rows),
    ...(refused.length === 0
      ? []
      : [
          table(
            style,
            ['BRIDGE', 'NOT IN KERNEL', 'FLOWS>'],
            refused.map(({ name, reason, flows }) => [name, style.warn(reason), String(flows)]),
          ),
          [...reasons.values()]
            .map(({ reason, sentence, remedy }) => `${style.warn(reason)}: ${sentence} ${remedy}`.trimEnd())
            .join('\n'),
        ]),
  ];
  return { json: view, text: parts.join('\n\n') };
}

/** Of all frames, how many the kernel treated by itself. */
function shareOf(hits: BridgeFastPath['hits'], misses: BridgeFastPath['misses']): string {
  const all = hits.kernel.packets + hits.userSpace.packets + misses.packets;
  return all === 0 ? '-' : `${((hits.kernel.packets / all) * 100).toFixed(1)}%`;
}

function headOf(style: Style, { active, whyNot, kernel }: FastPathView): string {
  if (!active)
    return `${style.warn('known flows are forwarded in user space')}: ${whyNot ?? 'no reason is told'}`;
  if (kernel === null) return style.good('known flows are forwarded in the kernel');
  const { hooking, flows, masks, limits, ports, firstPackets } = kernel;
  return (
    `${style.good('known flows are forwarded in the kernel')} (${hooking}): ${count(ports, 'port')}, ` +
    `${flows} of ${count(limits.flows, 'flow')}, ${masks} of ${count(limits.masks, 'mask')}\n` +
    firstPacketsOf(style, firstPackets)
  );
}

type Kernel = NonNullable<FastPathView['kernel']>;

/** What the frames get that the kernel has no flow for. A weftd of before this was told says nothing about it. */
function firstPacketsOf(style: Style, told: Kernel['firstPackets'] | undefined): string {
  if (told === undefined) return 'first packets: unknown';
  const { processorShare, refused } = told;
  const { packets, perS } = refused;
  if (processorShare === null)
    return `first packets: no limit${packets === 0 ? '' : ` now; ${count(packets, 'frame')} refused while there was one`}`;
  const rate = perS === null || perS === 0 ? '' : ` (${short(perS)}/s)`;
  return (
    `first packets: ${style.warn(`limited to ${Math.round(processorShare * 100)} % of one processor`)}, ` +
    `${count(packets, 'frame')} refused${rate}`
  );
}

export async function stats(context: Context, bridge: string | undefined): Promise<Result> {
  const view = await read(context, bridge);
  const { style } = context;
  const rows = view.bridges.map(({ bridge: name, hits, misses, evictions, turnedAway }) => [
    name,
    ...[hits.kernel, hits.userSpace, misses].flatMap(({ packets, perS }) => [String(packets), short(perS)]),
    String(evictions),
    String(turnedAway),
  ]);
  const titles = [
    'BRIDGE',
    'KERNEL>',
    '/S>',
    'USER SPACE>',
    '/S>',
    'MISSES>',
    '/S>',
    'EVICTED>',
    'TURNED AWAY>',
  ];
  const punts = view.bridges.flatMap(({ bridge: name, punts: ports }) =>
    ports.map(({ port, sent, dropped, waiting }) => [
      name,
      port,
      String(sent.packets),
      short(sent.perS),
      dropped.packets > 0 ? style.bad(String(dropped.packets)) : '0',
      short(dropped.perS),
      String(waiting),
    ]),
  );
  const events = Object.entries(view.kernel?.events ?? {}).map(([name, { packets, perS }]) => [
    name,
    String(packets),
    short(perS),
  ]);
  const parts = [
    headOf(style, view),
    table(style, titles, rows),
    ...(punts.length === 0
      ? []
      : [table(style, ['BRIDGE', 'PORT', 'PUNTS>', '/S>', 'LOST>', '/S>', 'WAITING>'], punts)]),
    ...(events.length === 0 ? [] : [table(style, ['IN THE KERNEL', 'FRAMES>', '/S>'], events)]),
  ];
  return { json: view, text: parts.join('\n\n') };
}

export async function flows(context: Context, bridge: string | undefined, options: Options): Promise<Result> {
  const { offloaded, port, reason, lines } = options;
  const most = Number(lines);
  if (!Number.isInteger(most) || most < 1) throw usageError('--lines: a number from 1 on is wanted');
  const names = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const query = {
    limit: String(most),
    port: text(port),
    reason: text(reason),
    offloaded: offloaded === undefined ? undefined : String(offloaded === 'yes'),
  };
  const views = await Promise.all(
    names.map((name) => context.client.get<MegaflowsView>(path('bridges', name, 'fastpath', 'flows'), query)),
  );
  const { style } = context;
  const parts = views.map(({ bridge: name, flows: list }) =>
    [
      `bridge ${style.bold(name)}: ${count(list.length, 'megaflow')}${list.length === most ? ' (there may be more)' : ''}`,
      ...list.map((flow) => flowLine(style, flow)),
    ].join('\n'),
  );
  return { json: views, text: parts.join('\n\n') || 'no bridges' };
}

function flowLine(style: Style, flow: Megaflow): string {
  const { match, actions, drop, packets, bytes, usedS, offloaded, notOffloaded } = flow;
  const does = drop === null ? (actions === '' ? 'drop' : actions) : `drop (${drop})`;
  const where = offloaded ? style.good('kernel') : style.warn(`user space: ${notOffloaded?.reason ?? '?'}`);
  return (
    `  ${style.bold(match === '' ? 'all frames' : match)} actions=${does}\n` +
    `    ${style.dim(`${count(packets, 'packet')}, ${short(bytes)} bytes, used ${usedS === null ? 'never' : `${duration(usedS)} ago`}`)}, ${where}`
  );
}
