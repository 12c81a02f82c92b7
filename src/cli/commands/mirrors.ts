/** `weft mirror …` */
import type { MirrorView } from '../../api/schemas.js';
import { path } from '../client.js';
import { changed } from '../context.js';
import type { Context, Options, Result } from '../context.js';
import { failure, usageError } from '../errors.js';
import { MIRROR_SETTINGS, bodyOf, writeNumbers } from '../settings.js';
import { short, table } from '../text.js';
import { describe, mergePatch, readBridges, removeNamed, withoutNulls } from './bridges.js';

async function readMirrors(context: Context, bridge?: string): Promise<MirrorView[]> {
  const bridges = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
  const lists = await Promise.all(
    bridges.map((name) => context.client.list<MirrorView>(path('bridges', name, 'mirrors'), 'mirrors')),
  );
  return lists.flat();
}

/** `everything`, `in tap2; out tap2, tap3; VLANs 10,20` */
function selectionOf({ selectAll, sourcePorts, destinationPorts, vlans }: MirrorView): string {
  const parts = [
    ...(selectAll ? ['everything'] : []),
    ...(sourcePorts.length > 0 ? [`in ${sourcePorts.join(', ')}`] : []),
    ...(destinationPorts.length > 0 ? [`out ${destinationPorts.join(', ')}`] : []),
    ...(vlans.length > 0 ? [`VLANs ${writeNumbers(vlans)}`] : []),
  ];
  return parts.length === 0 ? 'nothing' : parts.join('; ');
}

export async function list(context: Context, bridge: string | undefined): Promise<Result> {
  const mirrors = await readMirrors(context, bridge);
  const rows = mirrors.map((mirror) => [
    mirror.bridge,
    mirror.name,
    selectionOf(mirror),
    mirror.outputPort ?? (mirror.outputVlan === null ? '-' : `VLAN ${mirror.outputVlan}`),
    short(mirror.statistics.packets),
    short(mirror.statistics.bytes),
  ]);
  const titles = ['BRIDGE', 'MIRROR', 'COPIES', 'TO', 'PACKETS>', 'BYTES>'];
  return { json: mirrors, text: rows.length === 0 ? 'no mirrors' : table(context.style, titles, rows) };
}

export async function show(context: Context, bridge: string, mirror: string): Promise<Result> {
  const view = await context.client.get<MirrorView>(path('bridges', bridge, 'mirrors', mirror));
  return { json: view, text: describe(view) };
}

export async function add(
  context: Context,
  bridge: string,
  name: string,
  words: string[],
  options: Options,
): Promise<Result> {
  const body = withoutNulls(bodyOf(MIRROR_SETTINGS, options, words));
  const isThere = (await readMirrors(context, bridge)).some((each) => each.name === name);
  if (isThere && options['mayExist'] !== true)
    throw failure(`there is a mirror ${name} on ${bridge} already`);
  const answer = await context.client.ask('PUT', path('bridges', bridge, 'mirrors', name), { body });
  return changed(context, answer.status, answer.body, `mirror ${name} added to ${bridge}`);
}

export async function set(
  context: Context,
  bridge: string,
  name: string,
  words: string[],
  options: Options,
): Promise<Result> {
  const body = bodyOf(MIRROR_SETTINGS, options, words);
  if (Object.keys(body).length === 0) throw usageError('nothing to set: give a setting, such as --vlans 10');
  const answer = await context.client.ask('PATCH', path('bridges', bridge, 'mirrors', name), {
    raw: mergePatch(body),
  });
  return changed(context, answer.status, answer.body, `mirror ${name} of ${bridge} set`);
}

export async function remove(
  context: Context,
  bridge: string,
  names: string[],
  options: Options,
): Promise<Result> {
  return removeNamed({ context, bridge, options }, { noun: 'mirror', collection: 'mirrors' }, names);
}
