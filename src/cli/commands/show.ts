/** `weft show`: everything at a glance, or the warnings. */
import { path } from '../client.js';
import type { Context, Options, Result } from '../context.js';
import type { Style } from '../text.js';
import { count, table } from '../text.js';
import type { BridgeView, PortView } from '../../api/schemas.js';
import { readBridges, stateOf } from './bridges.js';
import { portTable } from './ports.js';

interface Health {
  readonly status: 'ok' | 'degraded' | 'failed';
  readonly database: { readonly error: string | null };
  readonly datapath: {
    readonly connected: boolean;
    readonly lastError: string | null;
    readonly pid: number | null;
    readonly version: string | null;
    readonly forwarding?: string | null;
    readonly whyUserSpace?: string | null;
  };
  readonly faults: readonly Note[];
}

interface Note {
  readonly table: string;
  readonly name: string;
  readonly column: string;
  readonly message: string;
  readonly value?: string;
}

interface Warnings {
  readonly warnings: readonly Note[];
  readonly faults: readonly Note[];
}

export async function show(context: Context, bridge: string | undefined, options: Options): Promise<Result> {
  if (options['warnings'] === true) return showWarnings(context);
  const { client, style } = context;
  const [health, { version }, bridges, notes] = await Promise.all([
    readHealth(context),
    client.get<{ version: string }>('/v1'),
    readBridges(context, bridge),
    client.get<Warnings>('/v1/warnings'),
  ]);
  const parts = await Promise.all(
    bridges.map(async (each) => ({
      bridge: each,
      ports: await client.list<PortView>(path('bridges', each.name, 'ports'), 'ports'),
    })),
  );
  const lines = [headOf(style, context.client.address, version, health)];
  for (const part of parts) lines.push('', ...describeBridge(style, part.bridge, part.ports));
  if (bridges.length === 0) lines.push('no bridges; weft bridge add NAME makes one');
  const wrong = notes.faults.length + notes.warnings.length;
  if (wrong > 0) {
    lines.push('', style.warn(`${count(wrong, 'setting')} without effect: weft show --warnings`));
  }
  const json = { version, health, bridges: parts.map((part) => ({ ...part.bridge, ports: part.ports })) };
  return { json, text: lines.join('\n') };
}

/** The answer also when it says that something is wrong. */
async function readHealth({ client }: Context): Promise<Health> {
  return (await client.ask('GET', '/healthz', { alsoStatus: [503] })).body as Health;
}

function headOf(
  style: Style,
  address: string,
  version: string,
  { status, database, datapath }: Health,
): string {
  const colour = { ok: style.good, degraded: style.warn, failed: style.bad }[status];
  const path = datapath.connected
    ? `datapath ${datapath.version ?? ''} (pid ${datapath.pid ?? '?'})${pathOf(style, datapath)}`
    : style.bad(`no datapath${datapath.lastError === null ? '' : `: ${datapath.lastError}`}`);
  const trouble = database.error === null ? '' : `, ${style.bad(`database: ${database.error}`)}`;
  return `${style.bold(`weftd ${version}`)} at ${address}: ${colour(status)}, ${path}${trouble}`;
}

/** Who forwards known flows, and why not the kernel. */
function pathOf(style: Style, { forwarding, whyUserSpace }: Health['datapath']): string {
  if (!forwarding) return '';
  if (forwarding === 'kernel') return ', known flows in the kernel';
  return `, ${style.warn('known flows in user space')}${whyUserSpace ? `: ${whyUserSpace}` : ''}`;
}

function describeBridge(style: Style, bridge: BridgeView, ports: readonly PortView[]): string[] {
  const { flows, groups, macs } = bridge.status;
  const facts = [
    stateOf(style, bridge),
    count(flows, 'flow'),
    count(groups, 'group'),
    count(macs, 'address', 'addresses'),
    ...(bridge.failMode === 'secure' ? ['fail mode secure'] : []),
    ...bridge.controllers.map((target) => `controller ${target}`),
    ...(bridge.connection === null ? [] : [`on ${bridge.connection}`]),
  ];
  const indented = portTable(style, ports, false).replace(/^/gm, '  ');
  return [
    `bridge ${style.bold(bridge.name)}: ${facts.join(', ')}`,
    ...(ports.length === 0 ? [] : [indented]),
  ];
}

async function showWarnings({ client, style }: Context): Promise<Result> {
  const notes = await client.get<Warnings>('/v1/warnings');
  const rows = [...notes.faults, ...notes.warnings].map(({ table: of, name, column, value, message }) => [
    of,
    name,
    column,
    value ?? '',
    value === undefined ? style.bad(message) : style.warn(message),
  ]);
  const text =
    rows.length === 0
      ? 'every setting of the database is acted on'
      : table(style, ['TABLE', 'NAME', 'COLUMN', 'VALUE', 'WHAT'], rows);
  return { json: notes, text };
}
