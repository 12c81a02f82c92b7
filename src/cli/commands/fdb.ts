/** `weft fdb …`: which address is where. */
import { path } from '../client.js';
import { changed } from '../context.js';
import type { Context, Options, Result } from '../context.js';
import { count, duration, table } from '../text.js';
import { onlyBridge, readBridges } from './bridges.js';

interface Entry {
  readonly vlan: number;
  readonly mac: string;
  readonly port: string;
  readonly kind: string;
  readonly ageS: number | null;
}

function filterOf(options: Options): Record<string, string | undefined> {
  const text = (name: string) => (typeof options[name] === 'string' ? options[name] : undefined);
  return { port: text('port'), vlan: text('vlan'), mac: text('mac') };
}

export async function list(context: Context, bridge: string | undefined, options: Options): Promise<Result> {
  const names = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
  const lists = await Promise.all(
    names.map(async (name) => {
      const entries = await context.client.list<Entry>(
        path('bridges', name, 'fdb'),
        'entries',
        filterOf(options),
      );
      return entries.map((entry) => ({ bridge: name, ...entry }));
    }),
  );
  const entries = lists.flat();
  const hasBridge = bridge === undefined && names.length > 1;
  const rows = entries.map((entry) => [
    ...(hasBridge ? [entry.bridge] : []),
    String(entry.vlan),
    entry.mac,
    entry.port,
    entry.kind === 'static' ? context.style.accent(entry.kind) : entry.kind,
    duration(entry.ageS),
  ]);
  const titles = [...(hasBridge ? ['BRIDGE'] : []), 'VLAN>', 'MAC', 'PORT', 'KIND', 'AGE'];
  return { json: entries, text: rows.length === 0 ? 'no addresses' : table(context.style, titles, rows) };
}

export async function flush(context: Context, bridge: string | undefined, options: Options): Promise<Result> {
  const name = await onlyBridge(context, bridge);
  const { body } = await context.client.ask('DELETE', path('bridges', name, 'fdb'), {
    query: filterOf(options),
  });
  return {
    json: body,
    text: `${count((body as { flushed: number }).flushed, 'address', 'addresses')} forgotten`,
  };
}

export async function add(
  context: Context,
  bridge: string,
  vlan: string,
  mac: string,
  port: string,
): Promise<Result> {
  const answer = await context.client.ask('PUT', path('bridges', bridge, 'fdb', vlan, mac), {
    body: { port },
  });
  return changed(context, answer.status, answer.body, `${mac} in VLAN ${vlan} is on ${port}`);
}

export async function remove(context: Context, bridge: string, vlan: string, mac: string): Promise<Result> {
  const answer = await context.client.ask('DELETE', path('bridges', bridge, 'fdb', vlan, mac));
  return changed(context, answer.status, answer.body, `${mac} in VLAN ${vlan} forgotten`);
}
