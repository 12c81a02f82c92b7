/** Answers of a switch as `ovs-ofctl -O OpenFlow13` prints them. */
import { formatDuration } from 'node-openflow';
import type { Connection, MultipartReply, PortNames } from 'node-openflow';

type Body<T extends MultipartReply['body']['type']> = Extract<MultipartReply['body'], { type: T }>;
export type PortEntry = Body<'PORT_DESC'>['entries'][number];

/** Numbers of transactions mean nothing here, but are part of the layout. */
export const header = (name: string, xid = 2) => `${name} (OF1.3) (xid=0x${xid}):`;

const RESERVED_WORDS: Readonly<Record<number, string>> = { 0xfffffffe: 'LOCAL', 0xfffffffd: 'CONTROLLER' };

export function portWord(port: number, names?: PortNames): string {
  return RESERVED_WORDS[port] ?? names?.byNumber(port) ?? String(port);
}

const words = (flags: readonly (string | number)[]) =>
  flags.length === 0
    ? '0'
    : flags.map((flag) => (typeof flag === 'number' ? `0x${flag.toString(16)}` : flag)).join(' ');

export function portText(port: PortEntry): string {
  const lines = [` ${portWord(port.portNo)}(${port.name}): addr:${port.hwAddr}`];
  const add = (name: string, text: string) => lines.push(`     ${name}${text}`);
  add('config:     ', words(port.config));
  add('state:      ', words(port.state));
  const features = {
    current: port.curr,
    advertised: port.advertised,
    supported: port.supported,
    peer: port.peer,
  };
  for (const [name, list] of Object.entries(features)) {
    if (list.length > 0)
      add(`${name}:`.padEnd(12), list.map((each) => String(each).replaceAll('_', '-')).join(' '));
  }
  add(
    'speed: ',
    `${Math.floor(port.currSpeed / 1000)} Mbps now, ${Math.floor(port.maxSpeed / 1000)} Mbps max`,
  );
  return `${lines.join('\n')}\n`;
}

export function featuresText(connection: Connection): string {
  const features = connection.features;
  if (!features) return '';
  return [
    `OFPT_FEATURES_REPLY (OF1.3) (xid=0x2): dpid:${connection.datapathId}`,
    `n_tables:${features.nTables}, n_buffers:${features.nBuffers}`,
    `capabilities: ${features.capabilities.join(' ')}`,
    '',
  ].join('\n');
}

/** All ones: not counted. */
const count = (value: bigint) => (value === 0xffff_ffff_ffff_ffffn ? '?' : String(value));

export function portStatsText(entries: Body<'PORT_STATS'>['entries'], names?: PortNames): string {
  const ports = entries.map((port) => {
    const rx = `rx pkts=${count(port.rxPackets)}, bytes=${count(port.rxBytes)}, drop=${count(port.rxDropped)}, errs=${count(port.rxErrors)}, frame=${count(port.rxFrameErr)}, over=${count(port.rxOverErr)}, crc=${count(port.rxCrcErr)}`;
    const tx = `tx pkts=${count(port.txPackets)}, bytes=${count(port.txBytes)}, drop=${count(port.txDropped)}, errs=${count(port.txErrors)}, coll=${count(port.collisions)}`;
    const name = portWord(port.portNo, names);
    return `  port ${name.padStart(2)}: ${rx}\n           ${tx}\n           duration=${formatDuration(port)}\n`;
  });
  return `OFPST_PORT reply (OF1.3) (xid=0x2): ${entries.length} ports\n${ports.join('')}`;
}

export function descText(desc: Body<'DESC'>): string {
  return [
    header('OFPST_DESC reply'),
    `Manufacturer: ${desc.mfrDesc}`,
    `Hardware: ${desc.hwDesc}`,
    `Software: ${desc.swDesc}`,
    `Serial Num: ${desc.serialNum}`,
    `DP Description: ${desc.dpDesc}`,
    '',
  ].join('\n');
}

/** Tables that say the same as the one before are joined. */
export function tablesText(entries: Body<'TABLE'>['entries']): string {
  const bodyOf = (table: (typeof entries)[number]) =>
    `    active=${table.activeCount}, lookup=${table.lookupCount}, matched=${table.matchedCount}\n\n`;
  let text = `${header('OFPST_TABLE reply')}\n`;
  for (let i = 0; i < entries.length;) {
    const table = entries[i];
    if (!table) break;
    const body = bodyOf(table);
    let last = i;
    while (
      i > 0 &&
      last < entries.length &&
      bodyOf(entries[last] ?? table) === bodyOf(entries[i - 1] ?? table)
    )
      last++;
    if (i > 0 && last > i) {
      const [from, to] = [table.tableId, entries[last - 1]?.tableId ?? 0];
      text += from === to ? `  table ${from}: ditto\n` : `  tables ${from}...${to}: ditto\n`;
      i = last;
    } else {
      text += `  table ${table.tableId}:\n${body}`;
      i++;
    }
  }
  return text;
}

export function queuesText(entries: Body<'QUEUE'>['entries'], names?: PortNames): string {
  const queues = entries.map(
    (queue) =>
      `  port ${portWord(queue.portNo, names)} queue ${queue.queueId}: bytes=${count(queue.txBytes)}, pkts=${count(queue.txPackets)}, errors=${count(queue.txErrors)}, duration=${formatDuration(queue)}\n`,
  );
  return `OFPST_QUEUE reply (OF1.3) (xid=0x2): ${entries.length} queues\n${queues.join('')}`;
}

const ACTION_WORDS: Readonly<Record<string, string>> = {
  OUTPUT: 'output',
  GROUP: 'group',
  SET_FIELD: 'set_field',
  POP_VLAN: 'strip_vlan',
  PUSH_VLAN: 'push_vlan',
  SET_NW_TTL: 'mod_nw_ttl',
  DEC_NW_TTL: 'dec_ttl',
  SET_MPLS_TTL: 'set_mpls_ttl',
  DEC_MPLS_TTL: 'dec_mpls_ttl',
  PUSH_MPLS: 'push_mpls',
  POP_MPLS: 'pop_mpls',
  SET_QUEUE: 'set_queue',
  PUSH_PBB: 'push_pbb',
  POP_PBB: 'pop_pbb',
  COPY_TTL_OUT: 'copy_ttl_out',
  COPY_TTL_IN: 'copy_ttl_in',
};
const GROUP_NAMES = ['all', 'select', 'indirect', 'fast failover'];

export function groupFeaturesText(body: Body<'GROUP_FEATURES'>): string {
  const bits = (flags: readonly (string | number)[], values: Readonly<Record<string, number>>) =>
    flags.reduce<number>((sum, flag) => sum | (typeof flag === 'number' ? flag : (values[flag] ?? 0)), 0);
  const types = bits(body.types, { ALL: 1, SELECT: 2, INDIRECT: 4, FF: 8 });
  const capabilities = bits(body.capabilities, {
    SELECT_WEIGHT: 1,
    SELECT_LIVENESS: 2,
    CHAINING: 4,
    CHAINING_CHECKS: 8,
  });
  const groups = GROUP_NAMES.map((name, i) => {
    const known = body.actions[i] ?? [];
    const actions = Object.keys(ACTION_WORDS).filter((each) => (known as readonly unknown[]).includes(each));
    return `    ${name} group:\n       max_groups=0x${(body.maxGroups[i] ?? 0).toString(16)}\n       actions: ${actions.map((each) => ACTION_WORDS[each]).join(' ')}\n`;
  });
  return `${header('OFPST_GROUP_FEATURES reply')}\n Group table:\n    Types:  0x${types.toString(16)}\n    Capabilities:  0x${capabilities.toString(16)}\n${groups.join('')}`;
}

export function meterFeaturesText(body: Body<'METER_FEATURES'>): string {
  const list = (flags: readonly (string | number)[]) =>
    flags.map((flag) => String(flag).toLowerCase()).join(' ');
  return `${header('OFPST_METER_FEATURES reply')}\nmax_meter:${body.maxMeter} max_bands:${body.maxBands} max_color:${body.maxColor}\nband_types: ${list(body.bandTypes)}\ncapabilities: ${list(body.capabilities)}\n`;
}
