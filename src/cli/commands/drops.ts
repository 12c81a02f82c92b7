/** `weft drops`: what was dropped, where, and what to do about it. */
import type { DropsView } from '../../api/observe-schemas.js';
import { explainDrop } from '../../domain/drop-reasons.js';
import { path } from '../client.js';
import type { Context, Options, Result } from '../context.js';
import type { Style } from '../text.js';
import { duration, short, table } from '../text.js';
import { readBridges } from './bridges.js';

export async function drops(context: Context, bridge: string | undefined, options: Options): Promise<Result> {
  const names = bridge === undefined ? (await readBridges(context)).map(({ name }) => name) : [bridge];
  const views = await Promise.all(
    names.map((name) => context.client.get<DropsView>(path('bridges', name, 'drops'))),
  );
  const port = typeof options['port'] === 'string' ? options['port'] : undefined;
  const parts = views.map((view) => describe(context.style, view, port));
  return { json: views, text: parts.join('\n\n') || 'no bridges' };
}

function describe(style: Style, view: DropsView, only: string | undefined): string {
  const ports = view.ports.filter(({ port }) => only === undefined || port === only);
  const rows = ports.flatMap(({ port, reasons }) =>
    reasons
      .filter(({ packets }) => packets > 0)
      .map(({ reason, packets, perS, last }) => [
        port,
        style.warn(reason),
        String(packets),
        short(perS),
        last === null ? '-' : `${duration(last.agoS)} ago: ${last.text}`,
      ]),
  );
  const head = `bridge ${style.bold(view.bridge)}: ${view.packets} dropped`;
  if (rows.length === 0) return `${head}${only === undefined ? '' : `, none of them from ${only}`}`;
  const seen = new Set(
    ports.flatMap(({ reasons }) => reasons.filter(({ packets }) => packets > 0)).map(({ reason }) => reason),
  );
  const notes = [...seen].map((reason) => {
    const text = explainDrop(reason);
    return `${style.warn(reason)}: ${text ? `${text.meaning} ${text.remedy}` : 'unknown to this version of weft'}`;
  });
  return [head, table(style, ['PORT', 'REASON', 'PACKETS>', 'PER S>', 'LAST'], rows), '', ...notes].join(
    '\n',
  );
}
