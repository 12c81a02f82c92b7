/** `weft port …` */
import type { PortView } from '../../api/schemas.js';
import { path } from '../client.js';
import { changed } from '../context.js';
import type { Context, Options, Result } from '../context.js';
import { usageError } from '../errors.js';
import { PORT_SETTINGS, bodyOf, writeNumbers } from '../settings.js';
import type { Style } from '../text.js';
import { orDash, table } from '../text.js';
import { describe, mergePatch, readBridges, removeNamed, withoutNulls } from './bridges.js';

/** Ports of a bridge, or of all. */
export async function readPorts(context: Context, bridge?: string): Promise<PortView[]> {
  const bridges = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
  const lists = await Promise.all(
    bridges.map((name) => context.client.list<PortView>(path('bridges', name, 'ports'), 'ports')),
  );
  return lists.flat();
}

/** `access 10`, `trunk 10,20-29`, `native-untagged 1 + all` */
export function vlansOf({ vlanMode, tag, trunks, cvlans }: PortView): string {
  const all = (list: readonly number[] | null) => (list === null ? 'all' : writeNumbers(list));
  switch (vlanMode) {
    case 'access':
      return tag === null || tag === 0 ? 'access' : `access ${tag}`;
    case 'trunk':
      return `trunk ${all(trunks)}`;
    case 'native-tagged':
    case 'native-untagged':
      return `${vlanMode} ${tag ?? 0} + ${all(trunks)}`;
    case 'dot1q-tunnel':
      return `dot1q-tunnel ${tag ?? 0}${cvlans === null ? '' : ` for ${all(cvlans)}`}`;
  }
}

export function linkOf(style: Style, { status }: PortView): string {
  if (status.error !== null) return style.bad(status.error);
  if (!status.present) return style.bad('no device');
  if (status.adminUp === false) return style.warn('set down');
  if (status.linkUp === false) return style.warn('no link');
  const speed = status.speedMbps === null || status.speedMbps <= 0 ? '' : ` ${status.speedMbps} Mb/s`;
  return style.good(`up${speed}`);
}

export function portTable(style: Style, ports: readonly PortView[], hasBridge: boolean): string {
  const rows = ports.map((port) => [
    ...(hasBridge ? [port.bridge] : []),
    port.name,
    orDash(port.ofport),
    port.type,
    vlansOf(port) + (port.protected ? ', protected' : ''),
    orDash(port.status.mac),
    orDash(port.status.mtu),
    linkOf(style, port),
  ]);
  const titles = [
    ...(hasBridge ? ['BRIDGE'] : []),
    'PORT',
    'OFPORT>',
    'TYPE',
    'VLANS',
    'MAC',
    'MTU>',
    'LINK',
  ];
  return table(style, titles, rows);
}

export async function list(context: Context, bridge: string | undefined): Promise<Result> {
  const ports = await readPorts(context, bridge);
  const text = ports.length === 0 ? 'no ports' : portTable(context.style, ports, bridge === undefined);
  return { json: ports, text };
}

export async function show(context: Context, bridge: string, port: string): Promise<Result> {
  const view = await context.client.get<PortView>(path('bridges', bridge, 'ports', port));
  return { json: view, text: describe(view) };
}

export async function add(
  context: Context,
  bridge: string,
  name: string,
  words: string[],
  options: Options,
): Promise<Result> {
  const body = withoutNulls(bodyOf(PORT_SETTINGS, options, words));
  if (options['mayExist'] === true) {
    const names = (await readPorts(context, bridge)).map((port) => port.name);
    if (names.includes(name)) return set(context, bridge, name, words, options);
  }
  const answer = await context.client.ask('POST', path('bridges', bridge, 'ports'), {
    body: { name, ...body },
  });
  return changed(context, answer.status, answer.body, `port ${name} added to ${bridge}`);
}

export async function set(
  context: Context,
  bridge: string,
  name: string,
  words: string[],
  options: Options,
): Promise<Result> {
  const body = bodyOf(PORT_SETTINGS, options, words);
  if (Object.keys(body).length === 0) {
    if (options['mayExist'] === true) return { json: {}, text: `port ${name} is there already` };
    throw usageError('nothing to set: give a setting, such as --tag 10');
  }
  const answer = await context.client.ask('PATCH', path('bridges', bridge, 'ports', name), {
    raw: mergePatch(body),
  });
  return changed(context, answer.status, answer.body, `port ${name} of ${bridge} set`);
}

export async function remove(
  context: Context,
  bridge: string,
  names: string[],
  options: Options,
): Promise<Result> {
  return removeNamed({ context, bridge, options }, { noun: 'port', collection: 'ports' }, names);
}
