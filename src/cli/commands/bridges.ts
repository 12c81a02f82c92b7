/** `weft bridge …` */
import type { BridgeView } from '../../api/schemas.js';
import { path } from '../client.js';
import { changed } from '../context.js';
import type { Context, Options, Result } from '../context.js';
import { failure, usageError } from '../errors.js';
import { BRIDGE_SETTINGS, bodyOf } from '../settings.js';
import type { Style } from '../text.js';
import { count, table } from '../text.js';

/** All bridges, or the one named. */
export async function readBridges(context: Context, name?: string): Promise<BridgeView[]> {
  if (name !== undefined) return [await context.client.get<BridgeView>(path('bridges', name))];
  return context.client.list<BridgeView>('/v1/bridges', 'bridges');
}

/** The bridge named, or the only one there is. @throws CliError */
export async function onlyBridge(context: Context, name?: string): Promise<string> {
  if (name !== undefined) return name;
  const [first, ...others] = await readBridges(context);
  if (!first) throw failure('there is no bridge yet: weft bridge add NAME');
  if (others.length > 0) {
    const names = [first, ...others].map((each) => each.name).join(', ');
    throw usageError(`which bridge? There are ${names}`);
  }
  return first.name;
}

export function stateOf(style: Style, { status }: BridgeView): string {
  if (!status.connected)
    return style.bad(`not connected${status.lastError === null ? '' : `: ${status.lastError}`}`);
  return status.inSync
    ? style.good('in sync')
    : style.warn(`out of sync${status.lastError === null ? '' : `: ${status.lastError}`}`);
}

export async function list(context: Context): Promise<Result> {
  const bridges = await readBridges(context);
  const { style } = context;
  const rows = bridges.map((bridge) => [
    bridge.name,
    bridge.datapathId,
    bridge.failMode,
    String(bridge.status.flows),
    String(bridge.status.macs),
    stateOf(style, bridge),
  ]);
  const text =
    rows.length === 0
      ? 'no bridges; weft bridge add NAME makes one'
      : table(style, ['BRIDGE', 'DATAPATH ID', 'FAIL MODE', 'FLOWS>', 'MACS>', 'SWITCH'], rows);
  return { json: bridges, text };
}

export async function show(context: Context, name: string): Promise<Result> {
  const [bridge] = await readBridges(context, name);
  return { json: bridge, text: bridge ? describe(bridge) : '' };
}

export async function add(
  context: Context,
  name: string,
  words: string[],
  options: Options,
): Promise<Result> {
  const body = withoutNulls(bodyOf(BRIDGE_SETTINGS, options, words));
  if (options['mayExist'] === true) {
    const names = (await readBridges(context)).map((bridge) => bridge.name);
    if (names.includes(name)) return set(context, name, words, options);
  }
  const answer = await context.client.ask('POST', '/v1/bridges', { body: { name, ...body } });
  return changed(context, answer.status, answer.body, `bridge ${name} added`);
}

export async function set(
  context: Context,
  name: string,
  words: string[],
  options: Options,
): Promise<Result> {
  const body = bodyOf(BRIDGE_SETTINGS, options, words);
  if (Object.keys(body).length === 0) {
    if (options['mayExist'] === true) return { json: {}, text: `bridge ${name} is there already` };
    throw usageError('nothing to set: give a setting, such as --fail-mode secure');
  }
  const answer = await context.client.ask('PATCH', path('bridges', name), { raw: mergePatch(body) });
  return changed(context, answer.status, answer.body, `bridge ${name} set`);
}

export async function remove(context: Context, names: string[], options: Options): Promise<Result> {
  const there =
    options['ifExists'] === true ? (await readBridges(context)).map((bridge) => bridge.name) : names;
  return inTurn(
    names.filter((name) => there.includes(name)),
    async (name) => {
      const answer = await context.client.ask('DELETE', path('bridges', name));
      return changed(context, answer.status, answer.body, `bridge ${name} removed`);
    },
  );
}

/** RFC 7396, which null takes back to the default. */
export function mergePatch(body: unknown): { type: string; text: string } {
  return { type: 'application/merge-patch+json', text: JSON.stringify(body) };
}

/** A new thing has its defaults without being told. */
export function withoutNulls(body: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

/** Does one after the other, stops at the first that fails, and says what was done as one result. */
export async function inTurn(
  names: readonly string[],
  each: (name: string) => Promise<Result>,
): Promise<Result> {
  const results: Result[] = [];
  for (const name of names) results.push(await each(name));
  const pending = results.some(({ outcome }) => outcome === 'pending');
  return {
    json: results.map(({ json }) => json),
    text: results.map(({ text }) => text).join('\n') || `${count(0, 'change')}`,
    ...(pending ? { outcome: 'pending' as const } : {}),
  };
}

/** Removes named things of a bridge; with `--if-exists` those of them that are there. */
export async function removeNamed(
  { context, bridge, options }: { context: Context; bridge: string; options: Options },
  { noun, collection }: { noun: string; collection: string },
  names: readonly string[],
): Promise<Result> {
  const url = path('bridges', bridge, collection);
  const there =
    options['ifExists'] === true
      ? (await context.client.list<{ name: string }>(url, collection)).map(({ name }) => name)
      : names;
  return inTurn(
    names.filter((name) => there.includes(name)),
    async (name) => {
      const answer = await context.client.ask('DELETE', path('bridges', bridge, collection, name));
      return changed(context, answer.status, answer.body, `${noun} ${name} removed from ${bridge}`);
    },
  );
}

/** Members of a view as `name: value` lines, nested ones indented. */
export function describe(view: object, indent = ''): string {
  return Object.entries(view)
    .map(([key, value]: [string, unknown]) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? `${indent}${key}:\n${describe(value, `${indent}  `)}`
        : `${indent}${key}: ${textOf(value)}`,
    )
    .join('\n');
}

function textOf(value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '-';
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
