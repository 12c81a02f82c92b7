/** Flows, groups and meters of a dump, as JSON and as lines of ovs-ofctl's with whose they are and why. */
import {
  formatFlowStats,
  formatGroup,
  formatInstructions,
  formatMeter,
  toJson,
  toJsonText,
} from 'node-openflow';
import type { FlowStats, GroupDesc, Instruction, MeterConfig, PortNames } from 'node-openflow';
import type { FlowDump, GroupDump, MeterDump, SwitchPort } from '../../switches/driver.js';
import type { GroupView, MeterView } from '../schemas.js';

/** The names that ports have on the switch, for printing and for reading. */
export function portNames(ports: readonly SwitchPort[]): PortNames {
  const byNumber = new Map(ports.map(({ ofport, name }) => [ofport, name]));
  const byName = new Map(ports.map(({ ofport, name }) => [name, ofport]));
  return { byName: (name) => byName.get(name), byNumber: (port) => byNumber.get(port) };
}

/**
 * Writes the flows of one dump. A switch may have a hundred thousand of them, so a {@link FlowView} is written as text
 * at once, and no serialiser looks at it again; and instructions that repeat, which node-openflow decodes to the same
 * list, are written once.
 */
export class FlowWriter {
  readonly #names: PortNames;
  readonly #instructions = new WeakMap<object, { readonly json: string; readonly actions: string }>();

  constructor(names: PortNames) {
    this.#names = names;
  }

  /** A {@link FlowView} in JSON. */
  json(flow: FlowDump): string {
    const { json, actions } = this.#textsOf(flow);
    const text = formatFlowStats(statsOf(flow), { hasStats: false, names: this.#names, actions });
    const isPlain = flow.idleTimeoutS === 0 && flow.hardTimeoutS === 0 && flow.flags.length === 0;
    const settings = isPlain
      ? '"idleTimeoutS":0,"hardTimeoutS":0,"flags":[],'
      : `"idleTimeoutS":${flow.idleTimeoutS},"hardTimeoutS":${flow.hardTimeoutS},"flags":${toJsonText(flow.flags)},`;
    return (
      `{"tableId":${flow.tableId},"priority":${flow.priority},"cookie":"0x${flow.cookie.toString(16)}",` +
      `"match":${toJsonText(flow.match)},"instructions":${json},${settings}` +
      `"packets":${Number(flow.packets)},"bytes":${Number(flow.bytes)},"durationS":${flow.durationS},` +
      `"owner":${toJsonText(flow.owner)},"text":${toJsonText(text)}}`
    );
  }

  /** A line of ovs-ofctl's, with whose the flow is and why. */
  line(flow: FlowDump): string {
    const { owner } = flow;
    const line = formatFlowStats(statsOf(flow), {
      names: this.#names,
      actions: this.#textsOf(flow).actions,
    });
    return owner ? `${line} # ${owner.program}/${owner.table}: ${owner.reason}\n` : `${line}\n`;
  }

  #textsOf({ instructions }: FlowDump): { readonly json: string; readonly actions: string } {
    let texts = this.#instructions.get(instructions);
    if (texts === undefined) {
      texts = {
        json: toJsonText(instructions),
        actions: formatInstructions(instructions as unknown as readonly Instruction[], this.#names),
      };
      this.#instructions.set(instructions, texts);
    }
    return texts;
  }
}

export function viewGroup(group: GroupDump, names: PortNames): GroupView {
  return {
    groupId: group.groupId,
    type: group.type,
    buckets: toJson(group.buckets) as unknown[],
    owner: group.owner,
    text: formatGroup(descriptionOf(group), names),
  };
}

export function groupLine(group: GroupDump, names: PortNames): string {
  return `${formatGroup(descriptionOf(group), names)}${comment(group.owner)}\n`;
}

export function viewMeter(meter: MeterDump): MeterView {
  const { meterId, flags, bands, owner } = meter;
  return { meterId, flags: [...flags], bands: toJson(bands) as unknown[], owner, text: meterText(meter) };
}

export function meterLine(meter: MeterDump): string {
  return `${meterText(meter)}${comment(meter.owner)}\n`;
}

/** On one line, so that what is printed can be sent back. */
function meterText(meter: MeterDump): string {
  return formatMeter(meter as unknown as MeterConfig).replaceAll('\n', ' ');
}

function comment(owner: { readonly program: string; readonly reason: string } | null): string {
  return owner ? ` # ${owner.program}: ${owner.reason}` : '';
}

/** The dump in the shape of the message it came from. */
export function statsOf(flow: FlowDump): FlowStats {
  const durationSec = Math.floor(flow.durationS);
  return {
    tableId: flow.tableId,
    durationSec,
    durationNsec: Math.round((flow.durationS - durationSec) * 1e9),
    priority: flow.priority,
    idleTimeout: flow.idleTimeoutS,
    hardTimeout: flow.hardTimeoutS,
    flags: flow.flags,
    cookie: flow.cookie,
    packetCount: flow.packets,
    byteCount: flow.bytes,
    match: flow.match,
    instructions: flow.instructions,
  } as unknown as FlowStats;
}

function descriptionOf({ groupId, type, buckets }: GroupDump): GroupDesc {
  return { groupId, groupType: type, buckets } as unknown as GroupDesc;
}
