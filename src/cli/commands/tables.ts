/** `weft flows`, `weft groups`, `weft meters`: what the switch holds, and rules of users' own. */
import { path } from '../client.js';
import type { Context, Options, Result } from '../context.js';
import { printable } from '../text.js';
import { onlyBridge, readBridges } from './bridges.js';

type Kind = 'flows' | 'groups' | 'meters';

export async function listFlows(
  context: Context,
  bridge: string | undefined,
  match: string | undefined,
  options: Options,
): Promise<Result | void> {
  const owner = typeof options['owner'] === 'string' ? options['owner'] : undefined;
  const query = { match, owner, ...selectionOf(options) };
  if (options['ndjson'] !== true) return list(context, 'flows', bridge, query);
  const name = await onlyBridge(context, bridge);
  const ask = { accept: 'application/x-ndjson', query };
  for await (const chunk of context.client.stream(path('bridges', name, 'flows'), ask))
    await context.write(chunk);
}

export const listGroups = (context: Context, bridge: string | undefined) => list(context, 'groups', bridge);
export const listMeters = (context: Context, bridge: string | undefined) => list(context, 'meters', bridge);

/** Of one bridge or of all; text goes out as it comes, however many rules there are. */
async function list(
  context: Context,
  kind: Kind,
  bridge: string | undefined,
  query: Readonly<Record<string, string | undefined>> = {},
): Promise<Result | void> {
  const names = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
  if (context.options.json === true) {
    const views = await Promise.all(
      names.map(async (name) => {
        const view = await context.client.get<Record<Kind, object[]>>(path('bridges', name, kind), query);
        return view[kind].map((each) => ({ bridge: name, ...each }));
      }),
    );
    return { json: views.flat(), text: '' };
  }
  for (const name of names) {
    if (names.length > 1) await context.write(`${context.style.bold(`bridge ${name}`)}\n`);
    const ask = { accept: 'text/plain', query };
    for await (const chunk of context.client.stream(path('bridges', name, kind), ask)) {
      await context.write(coloured(context, printable(chunk)));
    }
  }
}

/** What is beside a rule, after `#`, is of less weight. */
function coloured({ style }: Context, text: string): string {
  return text.replace(/#.*$/gm, (note) => style.dim(note));
}

async function add(context: Context, kind: Kind, bridge: string, text: string): Promise<Result> {
  const { body } = await context.client.ask('POST', path('bridges', bridge, kind), {
    body: { [kind]: [text] },
  });
  return { json: body, text: `${kind.slice(0, -1)} added` };
}

export const addFlow = (context: Context, bridge: string, flow: string) =>
  add(context, 'flows', bridge, flow);
export const addGroup = (context: Context, bridge: string, group: string) =>
  add(context, 'groups', bridge, group);
export const addMeter = (context: Context, bridge: string, meter: string) =>
  add(context, 'meters', bridge, meter);

export async function removeFlows(
  context: Context,
  bridge: string,
  match: string | undefined,
  options: Options,
): Promise<Result> {
  const isStrict = options['strict'] === true ? true : undefined;
  const query = { match, strict: isStrict, ...selectionOf(options) };
  await context.client.ask('DELETE', path('bridges', bridge, 'flows'), { query });
  return {
    json: {},
    text: Object.values(query).some((each) => each !== undefined)
      ? 'flows deleted'
      : 'all flows of users deleted',
  };
}

async function removeOne(context: Context, kind: Kind, bridge: string, id: string): Promise<Result> {
  await context.client.ask('DELETE', path('bridges', bridge, kind, id));
  return { json: {}, text: `${kind.slice(0, -1)} ${id} deleted` };
}

export const removeGroup = (context: Context, bridge: string, id: string) =>
  removeOne(context, 'groups', bridge, id);
export const removeMeter = (context: Context, bridge: string, id: string) =>
  removeOne(context, 'meters', bridge, id);

function selectionOf(options: Options): { table: string | undefined; cookie: string | undefined } {
  const text = (name: string) => (typeof options[name] === 'string' ? options[name] : undefined);
  return { table: text('table'), cookie: text('cookie') };
}
