/** `weft config …`: the configuration as a whole. */
import type { Context, Options, Result } from '../context.js';
import { readFileOf } from '../client.js';
import type { Style } from '../text.js';
import { count, table } from '../text.js';
import { changed } from '../context.js';

interface Change {
  readonly path: string;
  readonly change?: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

interface Plan {
  readonly changes: readonly Change[];
}

const isJson = (text: string) => /^\s*\{/.test(text);

async function put(context: Context, file: string, isDry: boolean) {
  const text = readFileOf('the configuration', file);
  return context.client.ask('PUT', '/v1/config', {
    raw: { type: isJson(text) ? 'application/json' : 'application/yaml', text },
    query: { dryRun: isDry ? true : undefined },
  });
}

export async function apply(context: Context, file: string, options: Options): Promise<Result> {
  const isDry = options['dryRun'] === true;
  const { status, body } = await put(context, file, isDry);
  const plan = body as Plan;
  return changed(context, status, body, describe(context.style, plan, isDry));
}

export async function diff(context: Context, file: string): Promise<Result> {
  const { body } = await put(context, file, true);
  const plan = body as Plan;
  const outcome = plan.changes.length === 0 ? 'done' : 'failed';
  return { json: body, text: describe(context.style, plan, true), outcome };
}

export async function exportConfig(context: Context, options: Options): Promise<Result> {
  const wantsJson = options['format'] === 'json' || context.options.json === true;
  const accept = wantsJson ? 'application/json' : 'application/yaml';
  const { text, body } = await context.client.ask('GET', '/v1/config', { accept });
  return { json: body, text: wantsJson ? JSON.stringify(body, null, 2) : text.trimEnd() };
}

export async function history(context: Context): Promise<Result> {
  const { body } = await context.client.ask('GET', '/v1/config/history');
  const { revisions } = body as {
    revisions: { revision: number; at: string; by?: string; comment?: string }[];
  };
  const rows = revisions.map(({ revision, at, comment }) => [String(revision), at, comment ?? '']);
  return {
    json: body,
    text: rows.length === 0 ? 'no history' : table(context.style, ['REVISION>', 'AT', 'WHAT'], rows),
  };
}

export async function rollback(context: Context, revision: string, options: Options): Promise<Result> {
  const isDry = options['dryRun'] === true;
  const answer = await context.client.ask('POST', '/v1/config/rollback', {
    body: { revision: Number(revision) },
    query: { dryRun: isDry ? true : undefined },
  });
  return changed(context, answer.status, answer.body, describe(context.style, answer.body as Plan, isDry));
}

function describe(style: Style, { changes }: Plan, isDry: boolean): string {
  if (changes.length === 0) return 'nothing to change';
  const lines = changes.map(({ path, change, from, to }) => {
    const mark = change === 'add' ? style.good('+') : change === 'remove' ? style.bad('-') : style.warn('~');
    const values =
      from === undefined && to === undefined ? '' : ` ${JSON.stringify(from)} -> ${JSON.stringify(to)}`;
    return `${mark} ${path}${values}`;
  });
  return [...lines, `${count(changes.length, 'change')}${isDry ? ', not made' : ''}`].join('\n');
}
