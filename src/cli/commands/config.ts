/** `weft config …`: the configuration as a whole. */
import { path, readFileOf } from '../client.js';
import type { Ask } from '../client.js';
import { changed } from '../context.js';
import type { Context, Options, Result } from '../context.js';
import { usageError } from '../errors.js';
import type { Style } from '../text.js';
import { count, table } from '../text.js';

interface Change {
  readonly op: 'add' | 'remove' | 'change';
  readonly kind: string;
  readonly bridge: string;
  readonly port?: string;
  readonly name: string;
  readonly fields: readonly { readonly field: string; readonly from: unknown; readonly to: unknown }[];
}

interface Cost {
  readonly bridge: string;
  readonly flowAdds: number;
  readonly flowModifies: number;
  readonly flowDeletes: number;
  readonly groupAdds: number;
  readonly groupModifies: number;
  readonly groupDeletes: number;
}

interface Plan {
  readonly changes: readonly Change[];
  readonly cost: readonly Cost[];
  readonly revision: { readonly revision: number } | null;
  readonly warnings: readonly { readonly path: string; readonly message: string; readonly line?: number }[];
}

interface Revision {
  readonly revision: number;
  readonly time: string;
  readonly who: string;
  readonly comment: string;
  readonly summary: { readonly added: number; readonly changed: number; readonly removed: number };
}

function document(file: string): Pick<Required<Ask>, 'raw'> {
  const text = readFileOf('the configuration', file);
  return { raw: { type: /^\s*\{/.test(text) ? 'application/json' : 'application/yaml', text } };
}

export async function apply(context: Context, file: string, options: Options): Promise<Result> {
  const isDry = options['dryRun'] === true;
  const query = { dryRun: isDry, comment: text(options, 'comment') };
  const answer = await context.client.ask('PUT', '/v1/config', { ...document(file), query });
  return outcomeOf(context, answer.status, answer.body as Plan, isDry);
}

export async function rollback(context: Context, revision: string, options: Options): Promise<Result> {
  const isDry = options['dryRun'] === true;
  const query = { dryRun: isDry, comment: text(options, 'comment') };
  const body = { revision: revisionNumber(revision) };
  const answer = await context.client.ask('POST', '/v1/config/rollback', { body, query });
  return outcomeOf(context, answer.status, answer.body as Plan, isDry);
}

export async function diff(context: Context, file: string | undefined, options: Options): Promise<Result> {
  const [from, to] = [text(options, 'from'), text(options, 'to')];
  if (
    (file === undefined) === (from === undefined && to === undefined) ||
    (file !== undefined && to !== undefined)
  )
    throw usageError('FILE, or --from and --to, say what is to be compared');
  const { body } =
    file === undefined
      ? await context.client.ask('GET', '/v1/config/diff', { query: { from, to } })
      : await context.client.ask('POST', '/v1/config/diff', { ...document(file), query: { from } });
  const { changes } = body as Pick<Plan, 'changes'>;
  const outcome = changes.length === 0 ? 'done' : 'failed';
  return { json: body, text: describe(context.style, changes) || 'no difference', outcome };
}

export async function exportConfig(context: Context, options: Options): Promise<Result> {
  const wantsJson = options['format'] === 'json' || context.options.json === true;
  const revision = text(options, 'revision');
  const place = revision === undefined ? '/v1/config' : path('config', 'history', revisionNumber(revision));
  const query = { format: wantsJson ? 'json' : 'yaml' };
  const answer = await context.client.ask('GET', place, { accept: '*/*', query });
  return {
    json: answer.body,
    text: wantsJson ? JSON.stringify(answer.body, null, 2) : answer.text.trimEnd(),
  };
}

export async function history(context: Context): Promise<Result> {
  const { revisions } = await context.client.get<{ revisions: Revision[] }>('/v1/config/history');
  const rows = revisions.map(
    ({ revision, time, who, comment, summary: { added, changed: other, removed } }) => [
      String(revision),
      time,
      who,
      `+${added} ~${other} -${removed}`,
      comment,
    ],
  );
  const titles = ['REVISION>', 'TIME', 'WHO', 'OBJECTS', 'COMMENT'];
  return { json: { revisions }, text: rows.length === 0 ? 'no history' : table(context.style, titles, rows) };
}

function outcomeOf(context: Context, status: number, plan: Plan, isDry: boolean): Result {
  const { style } = context;
  for (const { path: place, message, line } of plan.warnings)
    context.warn(`${line === undefined ? '' : `line ${line}: `}${place} ${message}`);
  if (plan.changes.length === 0) return changed(context, status, plan, 'nothing to change');
  const costs = plan.cost.map(costOf).filter((line) => line !== '');
  const revision = plan.revision === null ? '' : `, revision ${plan.revision.revision}`;
  const total = `${count(plan.changes.length, 'change')}${isDry ? ', not made' : revision}`;
  return changed(
    context,
    status,
    plan,
    [describe(style, plan.changes), ...costs.map(style.dim), total].join('\n'),
  );
}

function describe(style: Style, changes: readonly Change[]): string {
  const marks = { add: style.good('+'), remove: style.bad('-'), change: style.warn('~') };
  return changes
    .map(({ op, kind, bridge, port, name, fields }) => {
      const inside = [bridge, port].filter((each) => each !== undefined && each !== name).join(' ');
      const values = fields.map(({ field, from, to }) =>
        op === 'change'
          ? `${field}: ${show(from)} → ${show(to)}`
          : `${field}: ${show(op === 'add' ? to : from)}`,
      );
      const of = kind === 'bridge' || inside === '' ? '' : ` of ${inside}`;
      return `${marks[op]} ${kind} ${style.bold(name)}${of}${values.length === 0 ? '' : `: ${values.join(', ')}`}`;
    })
    .join('\n');
}

const show = (value: unknown) =>
  value === null ? 'default' : typeof value === 'string' ? value : JSON.stringify(value);

/** What it takes on the wire: `br0: flows +2 ~1 -0, groups +0 ~1 -0` */
function costOf(cost: Cost): string {
  const { bridge, flowAdds, flowModifies, flowDeletes, groupAdds, groupModifies, groupDeletes } = cost;
  const flows = `flows +${flowAdds} ~${flowModifies} -${flowDeletes}`;
  const groups = `groups +${groupAdds} ~${groupModifies} -${groupDeletes}`;
  return `${bridge}: ${flows}, ${groups}`;
}

function revisionNumber(revision: string): number {
  if (!/^[1-9]\d{0,14}$/.test(revision)) throw usageError(`${revision}: the number of a revision is wanted`);
  return Number(revision);
}

const text = (options: Options, name: string) =>
  typeof options[name] === 'string' ? options[name] : undefined;
