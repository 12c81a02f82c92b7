/** `ofproto/trace BRIDGE FLOW [PACKET]`: the way of a frame through the tables. */
import { OfctlSyntaxError, OpenFlowEncodeError, formatMatch, parseMatch } from 'node-openflow';
import type { PortNames } from 'node-openflow';
import type { Orchestrator } from '../../datapath/orchestrator.js';
import { FrameError, explainTrace, frameOf } from '../../observe/index.js';
import { CommandError, command } from '../command.js';
import type { Command } from '../command.js';
import { driverOf } from '../view.js';
import type { SwitchView } from '../view.js';
import type { SwitchDriver } from '../../switches/driver.js';

type Explained = ReturnType<typeof explainTrace>;

export function traceCommand(view: SwitchView, orchestrator: Pick<Orchestrator, 'ask'>): Command {
  const usage = '{bridge br_flow} [-generate|packet]';
  return command('ofproto/trace', usage, [2, 3], async ([bridge = '', flow = '', packet]) => {
    if (!view.bridges().some(({ name }) => name === bridge))
      throw new CommandError(`${bridge}: unknown bridge`);
    const driver = driverOf(view, bridge);
    const ports = namesOf(view, bridge, driver);
    const { inPort, frame, text } = frameWanted(flow, packet, ports);
    const told = await orchestrator
      .ask('trace', { bridge, inPort, frame: Buffer.from(frame).toString('hex') })
      .catch((error: Error) => {
        throw new CommandError(error.message);
      });
    const names = {
      ports,
      owner: (each: Parameters<SwitchDriver['owner']>[0]) => driver.owner(each),
      table: (id: number) => driver.table(id),
    };
    return traceText(bridge, text, explainTrace(told, { bridge, inPort, frame }, names));
  });
}

function namesOf(view: SwitchView, bridge: string, driver: SwitchDriver): PortNames {
  const interfaces =
    view
      .bridges()
      .find(({ name }) => name === bridge)
      ?.ports.flatMap((port) => port.interfaces) ?? [];
  const known = [...interfaces, ...driver.ports()].flatMap(({ name, ofport }) =>
    ofport === null ? [] : [[name, ofport] as const],
  );
  const [byName, byNumber] = [new Map(known), new Map(known.map(([name, ofport]) => [ofport, name]))];
  return { byName: (name) => byName.get(name), byNumber: (ofport) => byNumber.get(ofport) };
}

function frameWanted(flow: string, packet: string | undefined, ports: PortNames) {
  try {
    const match = parseMatch(flow, ports);
    const inPort = match.in_port;
    if (typeof inPort !== 'number') throw new CommandError('in_port=PORT is wanted in the flow');
    const text = formatMatch(match);
    if (packet === undefined || packet === '-generate') return { inPort, frame: frameOf(match), text };
    if (!/^([0-9a-f]{2}){14,}$/i.test(packet)) throw new CommandError('Trailing garbage in packet data');
    return { inPort, frame: Buffer.from(packet, 'hex'), text };
  } catch (error) {
    const isSyntax = [OfctlSyntaxError, FrameError, OpenFlowEncodeError].some(
      (type) => error instanceof type,
    );
    throw isSyntax
      ? new CommandError(`Bad openflow flow syntax: ${flow}: ${(error as Error).message}`)
      : error;
  }
}

/** Laid out as Open vSwitch does it; behind `#` is why a rule of Weft's is there. */
export function traceText(bridge: string, flow: string, trace: Explained): string {
  const title = `bridge("${bridge}")`;
  const lines = [`Flow: ${flow}`, '', title, '-'.repeat(title.length)];
  for (const { kind, depth, text, rule, table } of trace.steps) {
    const indent = '    '.repeat(Math.max(0, depth));
    if (kind === 'rule' && rule && table) {
      const [match] = rule.text.split(/\s*actions=/);
      const fields = (match ?? '')
        .replace(/^(cookie=[^,]*, )?(table=\d+, )?/, '')
        .replace(/priority=\d+,?/, '')
        .trim();
      const cookie = rule.cookie === '0x0' ? '' : `, cookie ${rule.cookie}`;
      const why = rule.reason === null ? '' : `  # ${rule.reason}`;
      const key = `${fields === '' ? '' : `${fields}, `}priority ${rule.priority}${cookie}`;
      lines.push(`${indent}${String(table.id).padStart(2)}. ${key}${why}`);
    } else if (kind === 'miss' && table)
      lines.push(`${indent}${String(table.id).padStart(2)}. No match.`, `${indent}    drop`);
    else if (kind === 'action') lines.push(`${indent}${text}`);
    else lines.push(`${indent} -> ${text}`);
  }
  const changed = trace.outputs.find(({ frame }) => frame.hex !== trace.frame.hex);
  const outputs = trace.outputs.map(({ ofport }) => (ofport === 65534 ? 'LOCAL' : String(ofport)));
  const punts = trace.packetIns.map(({ to }) => `userspace(${to})`);
  const actions = [...outputs, ...punts];
  lines.push(
    '',
    `Final flow: ${changed ? changed.frame.text : 'unchanged'}`,
    `Megaflow: ${trace.cost.fields.join(',')}`,
    `Datapath actions: ${actions.length === 0 ? 'drop' : actions.join(',')}`,
  );
  return `${lines.join('\n')}\n`;
}
