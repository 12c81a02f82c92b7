/** `weft trace`: what the tables would do with a frame, and why. */
import type { TraceView } from '../../api/observe-schemas.js';
import { path } from '../client.js';
import type { Context, Options, Result } from '../context.js';
import { usageError } from '../errors.js';
import type { Style } from '../text.js';
import { count } from '../text.js';
import { onlyBridge } from './bridges.js';

/** @param words one flow in ovs-appctl's words, or the port by which the frame comes in, or nothing */
export async function trace(
  context: Context,
  bridge: string | undefined,
  flow: string | undefined,
  options: Options,
): Promise<Result> {
  const name = await onlyBridge(context, bridge);
  const { port, frame, lastDropped } = options;
  const ways = [flow, frame, lastDropped].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    throw usageError('one of FLOW, --frame HEX and --last-dropped says which frame is meant');
  }
  const body = {
    ...(typeof port === 'string' ? { inPort: port } : {}),
    ...(flow === undefined ? {} : { flow }),
    ...(typeof frame === 'string' ? { frame: frame.replace(/[\s:]/g, '') } : {}),
    ...(lastDropped === undefined ? {} : { lastDropped }),
  };
  const answer = await context.client.ask('POST', path('bridges', name, 'trace'), { body });
  const view = answer.body as TraceView;
  return { json: view, text: describe(context.style, view) };
}

function describe(style: Style, view: TraceView): string {
  const lines = [
    `${style.bold('frame')}  ${view.frame.text} (${view.frame.length} bytes), in by ${style.bold(view.inPort)}`,
    ...view.steps.map((step) => stepLine(style, step)),
    '',
  ];
  for (const { port, queue, frame } of view.outputs) {
    const to = queue === null ? port : `${port}, queue ${queue}`;
    lines.push(`${style.good('out')}    ${style.bold(to)}: ${frame.text} (${frame.length} bytes)`);
  }
  for (const { to, reason } of view.packetIns)
    lines.push(`${style.accent('copy')}   to the ${to}: ${reason}`);
  if (view.drop) lines.push(`${style.bad('drop')}   ${view.drop.reason}: ${view.drop.sentence}`);
  const { tables, masks, bits, fields, cacheable } = view.cost;
  lines.push(
    `${style.dim('path')}   ${view.fastPath.offloaded ? 'the kernel forwards frames like it' : `in user space (${style.warn(view.fastPath.reason ?? '?')}): ${view.fastPath.sentence ?? ''}`}`,
    `${style.dim('cost')}   ${count(tables, 'table')}, ${count(masks, 'mask')}, ${count(bits, 'bit')} looked at` +
      `${fields.length === 0 ? '' : ` (${fields.join(', ')})`}${cacheable ? '' : ', not cacheable'}`,
    '',
    view.drop ? style.bad(view.verdict) : style.bold(view.verdict),
  );
  return lines.join('\n');
}

function stepLine(style: Style, step: TraceView['steps'][number]): string {
  const indent = '  '.repeat(step.depth);
  if (step.table && (step.kind === 'rule' || step.kind === 'miss')) {
    const { id, name } = step.table;
    const head = style.bold(`${indent}${id}${name === null ? '' : ` ${name}`}`);
    const why = step.rule?.reason ?? null;
    const rule = step.rule ? step.rule.text : step.text;
    return `${head}  ${step.kind === 'miss' ? style.warn(rule) : rule}${why === null ? '' : `\n${indent}    ${style.accent(why)}`}`;
  }
  const isBad = step.kind === 'drop' || step.kind === 'blocked';
  return `${indent}    ${isBad ? style.bad(step.text) : style.dim(step.text)}`;
}
