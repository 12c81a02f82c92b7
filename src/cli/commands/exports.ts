/** `weft sflow …`, `weft netflow …`, `weft ipfix …`: who is told of the traffic. */
import type { ExportState } from '../../api/schemas.js';
import { path } from '../client.js';
import { changed } from '../context.js';
import type { Context, Options, Result } from '../context.js';
import { usageError } from '../errors.js';
import { bodyOf, type Setting } from '../settings.js';
import type { Style } from '../text.js';
import { orDash, short, table } from '../text.js';
import { mergePatch, readBridges, withoutNulls } from './bridges.js';

type View = { readonly bridge: string; readonly status: ExportState } & Readonly<Record<string, unknown>>;

const NOT_THERE = 404;

export function exportCommands(kind: string, title: string, settings: readonly Setting[]) {
  /** Undefined where the bridge tells nobody; one that there is not is an error. */
  const read = async (context: Context, bridge: string): Promise<View | undefined> => {
    const answer = await context.client.ask('GET', path('bridges', bridge, kind), {
      alsoStatus: [NOT_THERE],
    });
    if (answer.status !== NOT_THERE) return answer.body as View;
    await readBridges(context, bridge);
    return undefined;
  };
  return {
    show: async (context: Context, bridge: string | undefined): Promise<Result> => {
      const names = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
      const found = await Promise.all(names.map((name) => read(context, name)));
      const views = found.filter((view) => view !== undefined);
      const text = views.map((view) => describe(context.style, title, settings, view)).join('\n\n');
      return { json: views, text: text === '' ? `nobody is told by ${title}` : text };
    },

    set: async (context: Context, bridge: string, words: string[], options: Options): Promise<Result> => {
      const body = bodyOf(settings, options, words);
      if (Object.keys(body).length === 0)
        throw usageError('nothing to set: give a setting, such as --target 192.0.2.1');
      const url = path('bridges', bridge, kind);
      const isThere = (await read(context, bridge)) !== undefined;
      const answer = isThere
        ? await context.client.ask('PATCH', url, { raw: mergePatch(body) })
        : await context.client.ask('PUT', url, { body: withoutNulls(body) });
      return changed(context, answer.status, answer.body, `${title} of ${bridge} set`);
    },

    remove: async (context: Context, bridge: string, options: Options): Promise<Result> => {
      if (options['ifExists'] === true && (await read(context, bridge)) === undefined)
        return { json: {}, text: `${bridge} has no ${title}` };
      const answer = await context.client.ask('DELETE', path('bridges', bridge, kind));
      return changed(context, answer.status, answer.body, `${title} of ${bridge} removed`);
    },
  };
}

function describe(style: Style, title: string, settings: readonly Setting[], view: View): string {
  const { bridge, status } = view;
  const state =
    status.refused === null
      ? status.active
        ? style.good('at work')
        : style.warn('not at work yet')
      : style.bad(`not at work: ${status.refused}`);
  const facts = settings
    .filter(({ member }) => member !== 'targets')
    .map(({ option, member }) => {
      const value = view[member];
      return `${option} ${typeof value === 'string' ? value : JSON.stringify(value ?? null)}`;
    });
  const agent =
    status.agent === null ? [] : [`  agent address ${status.agent.address} (${status.agent.why})`];
  const counted = Object.entries(status.counters).map(([name, n]) => `${short(n)} ${wordsOf(name)}`);
  const rows = status.collectors.map((each) => [
    each.target,
    orDash(each.address),
    short(each.datagrams),
    short(each.bytes),
    short(each.dropped),
    short(each.waiting),
    each.error === null ? style.good('ok') : style.bad(each.error),
  ]);
  const titles = ['COLLECTOR', 'ADDRESS', 'DATAGRAMS>', 'BYTES>', 'DROPPED>', 'WAITING>', 'STATE'];
  return [
    `${style.bold(`${title} of ${bridge}`)}: ${state}`,
    `  ${facts.join(', ')}`,
    ...agent,
    ...(counted.length > 0 ? [`  so far ${counted.join(', ')}`] : []),
    ...(rows.length > 0 ? [table(style, titles, rows).replace(/^/gm, '  ')] : []),
  ].join('\n');
}

/** `counterSamples` → `counter samples` */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
