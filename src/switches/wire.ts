/** Between the reconciler's commands and node-openflow's messages. The values have the same shapes already. */
import {
  Group,
  MessageTemplate,
  Port,
  Table,
  type Connection,
  type FlowStats,
  type GroupDesc,
  type MessageInput,
  type MeterConfig,
  type OxmFieldName,
  type OxmValue,
  type PortDesc,
} from 'node-openflow';
import type { MacAddress } from '../domain/index.js';
import {
  flowLike,
  type ResolvedBucket,
  type ResolvedFlow,
  type ResolvedGroup,
  type ResolvedMeter,
  type ResolvedPattern,
} from '../programs/index.js';
import type { Command } from '../reconcile/index.js';
import type { SwitchPort } from './driver.js';
import type { ResolvedPacketOut } from './runner.js';

export function messageOf(command: Command): MessageInput {
  switch (command.op) {
    case 'flow-add':
      return flowMod('ADD', command.flow);
    case 'flow-add-like':
      return flowMod('ADD', flowLike(command.pattern, command.value));
    case 'flow-modify':
      return flowMod('MODIFY_STRICT', command.flow);
    case 'flow-delete': {
      const { tableId, priority, match } = command.flow;
      const identity = { tableId, priority, match, outPort: Port.ANY, outGroup: Group.ANY };
      return { type: 'FLOW_MOD', command: 'DELETE_STRICT', ...identity } as MessageInput;
    }
    case 'group-add':
      return groupMod('ADD', command.group);
    case 'group-modify':
      return groupMod('MODIFY', command.group);
    case 'group-delete':
      return { type: 'GROUP_MOD', command: 'DELETE', groupId: command.groupId };
    case 'meter-add':
      return { type: 'METER_MOD', command: 'ADD', ...command.meter } as MessageInput;
    case 'meter-modify':
      return { type: 'METER_MOD', command: 'MODIFY', ...command.meter } as MessageInput;
    case 'meter-delete':
      return { type: 'METER_MOD', command: 'DELETE', meterId: command.meterId };
  }
}

/** What messages of one pattern are copied from. */
const templates = new WeakMap<ResolvedPattern, MessageTemplate>();

function templateOf(pattern: ResolvedPattern): MessageTemplate {
  let template = templates.get(pattern);
  if (template === undefined) {
    template = new MessageTemplate(flowMod('ADD', pattern.flow), pattern.varies as OxmFieldName);
    templates.set(pattern, template);
  }
  return template;
}

/** Sends a command; flows of one pattern are not encoded one by one. @throws OpenFlowEncodeError */
export function sendCommand(connection: Pick<Connection, 'send' | 'sendLike'>, command: Command): void {
  if (command.op === 'flow-add-like')
    connection.sendLike(templateOf(command.pattern), command.value as OxmValue);
  else connection.send(messageOf(command));
}

function flowMod(command: 'ADD' | 'MODIFY_STRICT', flow: ResolvedFlow): MessageInput {
  // The programs' value types are looser than the codec's, which checks each value as it encodes.
  const { cookie, tableId, idleTimeout, hardTimeout, priority, flags, match, instructions } = flow;
  // One literal: to spread another into it costs several times as much, and flows come by the thousand.
  const message = {
    type: 'FLOW_MOD',
    cookie,
    tableId,
    command,
    idleTimeout,
    hardTimeout,
    priority,
    flags,
    match,
    instructions,
  };
  return message as MessageInput;
}

function groupMod(command: 'ADD' | 'MODIFY', { groupId, type, buckets }: ResolvedGroup): MessageInput {
  const withWeights = buckets.map((bucket) => ({
    ...bucket,
    weight: type === 'SELECT' ? (bucket.weight ?? 1) : 0,
  }));
  return { type: 'GROUP_MOD', command, groupId, groupType: type, buckets: withWeights } as MessageInput;
}

/** A frame that the switch is to run actions on, as if from the controller. */
export function packetOutOf({ actions, data }: ResolvedPacketOut): MessageInput {
  return { type: 'PACKET_OUT', inPort: Port.CONTROLLER, actions, data } as MessageInput;
}

/** A flow as the switch described it. */
export function flowOf(stats: FlowStats): ResolvedFlow {
  const { tableId, priority, cookie, idleTimeout, hardTimeout } = stats;
  return {
    tableId,
    priority,
    cookie,
    idleTimeout,
    hardTimeout,
    match: stats.match as ResolvedFlow['match'],
    instructions: stats.instructions as ResolvedFlow['instructions'],
    // The bits about counting are the switch's to report or not; the programs never set them.
    flags: stats.flags.filter((flag) => flag === 'SEND_FLOW_REM'),
  };
}

export function groupOf(description: GroupDesc): ResolvedGroup {
  return {
    groupId: description.groupId,
    type: description.groupType as ResolvedGroup['type'],
    buckets: description.buckets as unknown as readonly ResolvedBucket[],
  };
}

export function meterOf(config: MeterConfig): ResolvedMeter {
  return {
    meterId: config.meterId,
    flags: config.flags,
    bands: config.bands as unknown as ResolvedMeter['bands'],
  };
}

export function portOf(description: PortDesc): SwitchPort {
  return {
    name: description.name,
    ofport: description.portNo,
    mac: description.hwAddr as MacAddress,
    isAdminUp: !description.config.includes('PORT_DOWN'),
    isLinkUp: !description.state.includes('LINK_DOWN'),
  };
}

/** Asks for every flow that `cookies` select, in all tables. */
export function flowRequest(cookies?: { value: bigint; mask: bigint }) {
  return {
    type: 'FLOW',
    tableId: Table.ALL,
    outPort: Port.ANY,
    outGroup: Group.ANY,
    cookie: cookies?.value ?? 0n,
    cookieMask: cookies?.mask ?? 0n,
    match: {},
  } as const;
}

/**
 * What a new connection says first: packet-ins and timeouts wanted, deletions (which are our own) not. A
 * non-zero miss_send_len is what makes Open vSwitch send a management connection anything by itself.
 */
export function preamble(packetInBytes: number): MessageInput[] {
  const both = <T>(value: T): [T, T] => [value, value];
  return [
    { type: 'SET_CONFIG', missSendLength: packetInBytes },
    {
      type: 'SET_ASYNC',
      packetInMask: both(['NO_MATCH', 'ACTION'] as const),
      portStatusMask: both(['ADD', 'DELETE', 'MODIFY'] as const),
      flowRemovedMask: both(['IDLE_TIMEOUT', 'HARD_TIMEOUT', 'GROUP_DELETE', 'METER_DELETE'] as const),
    },
  ];
}
