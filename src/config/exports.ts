/** sFlow, NetFlow, IPFIX and Flow_Sample_Collector_Set (ovs-vswitchd.conf.db(5)) of a bridge. */
import {
  FIRST_OWN_OBSERVER,
  MAX_FLOWS,
  type Collector,
  type Exports,
  type IpfixSettings,
  type NetflowSettings,
  type SampleSet,
  type SflowSettings,
} from '../domain/index.js';
import type { Database, Row } from '../ovsdb/index.js';
import type { Report } from './addresses.js';
import { flagOf, mapOfTexts, numberOf, textOf, textsOf } from './fields.js';

/** Defaults: Open vSwitch's. */
export const SFLOW_DEFAULTS = { header: 128, polling: 30, sampling: 400, port: 6343 } as const;
export const NETFLOW_DEFAULTS = { activeTimeoutS: 600, port: 2055 } as const;
export const IPFIX_DEFAULTS = { sampling: 400, port: 4739 } as const;
/** A flow that has been silent for so long has ended, as in Cisco's and Open vSwitch's exporters. */
const IDLE_TIMEOUT_S = 15;
/** Where IPFIX's `cache_active_timeout` is 0 or absent, flows are told of at once in Open vSwitch: here within a second. */
const AT_ONCE_S = 1;
/** Most of a sampled frame that the datapath keeps. */
export const MOST_HEADER_BYTES = 512;
/** What most collectors take without losing any, and how far that can be raised. */
export const DATAGRAMS_PER_S = { usual: 2_000, most: 100_000 } as const;

/** Absent where the bridge has none of them; what makes no sense is reported and taken as absent. */
export function readExports(database: Database, bridge: Row, fault: Report): Exports | undefined {
  const referred = (column: 'sflow' | 'netflow' | 'ipfix', table: string): Row | undefined => {
    const uuid = textOf(bridge, column);
    return uuid === undefined ? undefined : database.row(table, uuid);
  };
  const [sflow, netflow, ipfix] = [
    referred('sflow', 'sFlow'),
    referred('netflow', 'NetFlow'),
    referred('ipfix', 'IPFIX'),
  ];
  const sampleSets = readSampleSets(database, bridge, fault);
  if (!sflow && !netflow && !ipfix && sampleSets.length === 0) return undefined;
  return {
    ...(sflow ? { sflow: readSflow(sflow, fault) } : {}),
    ...(netflow ? { netflow: readNetflow(netflow, fault) } : {}),
    ...(ipfix ? { ipfix: readIpfix(ipfix, 'ipfix', fault) } : {}),
    ...(sampleSets.length > 0 ? { sampleSets } : {}),
  };
}

function readSflow(row: Row, fault: Report): SflowSettings {
  const within = bounded(row, 'sflow', fault);
  return {
    ...exporting(row, 'sflow', SFLOW_DEFAULTS.port, fault),
    agent: textOf(row, 'agent') || null,
    headerBytes: within('header', 14, MOST_HEADER_BYTES, SFLOW_DEFAULTS.header),
    pollingS: within('polling', 0, 86_400, SFLOW_DEFAULTS.polling),
    sampling: within('sampling', 0, 0xffff_ffff, SFLOW_DEFAULTS.sampling),
  };
}

function readNetflow(row: Row, fault: Report): NetflowSettings {
  const ids = mapOfTexts(row, 'external_ids');
  const version = ids.get('netflow-version') ?? '5';
  if (version !== '5' && version !== '9')
    fault('netflow', `external_ids:netflow-version "${version}" is neither 5 nor 9`);
  const numbers = ids.get('interface-numbers') ?? 'openflow';
  if (numbers !== 'openflow' && numbers !== 'ifindex')
    fault('netflow', `external_ids:interface-numbers "${numbers}" is neither openflow nor ifindex`);
  // 0: the default; -1: only when they end (ovs-vswitchd.conf.db(5)).
  const timeout = numberOf(row, 'active_timeout') ?? 0;
  return {
    ...exporting(row, 'netflow', NETFLOW_DEFAULTS.port, fault),
    version: version === '9' ? 9 : 5,
    activeTimeoutS: timeout < 0 ? 0 : timeout === 0 ? NETFLOW_DEFAULTS.activeTimeoutS : timeout,
    idleTimeoutS: IDLE_TIMEOUT_S,
    engineType: numberOf(row, 'engine_type') ?? 0,
    engineId: numberOf(row, 'engine_id') ?? null,
    addIdToInterface: flagOf(row, 'add_id_to_interface'),
    interfaceNumbers: numbers === 'ifindex' ? 'ifindex' : 'openflow',
    sampling: whole(ids, 'sampling', 1, 0x3fff, 1, 'netflow', fault),
  };
}

function readIpfix(row: Row, column: string, fault: Report): IpfixSettings {
  const activeTimeoutS = numberOf(row, 'cache_active_timeout') ?? 0;
  const maxFlows = numberOf(row, 'cache_max_flows') ?? 0;
  const shortest = activeTimeoutS === 0 ? AT_ONCE_S : activeTimeoutS;
  return {
    ...exporting(row, column, IPFIX_DEFAULTS.port, fault),
    sampling: numberOf(row, 'sampling') ?? IPFIX_DEFAULTS.sampling,
    domainId: numberOf(row, 'obs_domain_id') ?? 0,
    pointId: numberOf(row, 'obs_point_id') ?? null,
    activeTimeoutS: shortest,
    idleTimeoutS: Math.min(shortest, IDLE_TIMEOUT_S),
    maxFlows: maxFlows === 0 ? MAX_FLOWS : Math.min(maxFlows, 1 << 20),
  };
}

function readSampleSets(database: Database, bridge: Row, fault: Report): SampleSet[] {
  const sets: SampleSet[] = [];
  for (const row of database.rows('Flow_Sample_Collector_Set').values()) {
    if (textOf(row, 'bridge') !== bridge.uuid) continue;
    const id = numberOf(row, 'id') ?? 0;
    const uuid = textOf(row, 'ipfix');
    const ipfix = uuid === undefined ? undefined : database.row('IPFIX', uuid);
    const where = `Flow_Sample_Collector_Set ${id}`;
    if (id >= FIRST_OWN_OBSERVER)
      fault('ipfix', `${where}: ids from ${FIRST_OWN_OBSERVER} on are Weft's own`);
    // How many are sampled is the action's to say; the row's `sampling` is for all of a bridge's packets.
    else if (ipfix) sets.push({ id, ipfix: { ...readIpfix(ipfix, 'ipfix', fault), sampling: 1 } });
  }
  return sets.sort((a, b) => a.id - b.id);
}

function exporting(
  row: Row,
  column: string,
  usualPort: number,
  fault: Report,
): { collectors: Collector[]; datagramsPerS: number } {
  const collectors: Collector[] = [];
  for (const target of textsOf(row, 'targets').sort()) {
    const collector = parseCollector(target, usualPort);
    if (collector) collectors.push(collector);
    else fault(column, `"${target}" is no target: HOST:PORT or [IPV6]:PORT`);
  }
  const { usual, most } = DATAGRAMS_PER_S;
  const ids = mapOfTexts(row, 'external_ids');
  return { collectors, datagramsPerS: whole(ids, 'datagrams-per-second', 1, most, usual, column, fault) };
}

/** `HOST:PORT`, `[IPV6]:PORT`, or the host alone; undefined where the text is none of them. */
export function parseCollector(text: string, usualPort: number): Collector | undefined {
  const isAddress6 = (host: string) => /^[0-9a-fA-F:.]+(%\S+)?$/.test(host) && host.includes(':');
  if (isAddress6(text) && text.split(':').length > 2) return { host: text, port: usualPort };
  const [, bracketed, plain, portText] =
    /^(?:\[([^[\]\s]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || (bracketed !== undefined && !isAddress6(bracketed))) return undefined;
  const port = portText === undefined ? usualPort : Number(portText);
  return port > 0 && port < 0x10000 ? { host, port } : undefined;
}

export function collectorText({ host, port }: Collector): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function bounded(row: Row, where: string, fault: Report) {
  return (column: string, least: number, most: number, usual: number): number => {
    const value = numberOf(row, column);
    if (value === undefined) return usual;
    if (value >= least && value <= most) return value;
    const taken = Math.min(Math.max(value, least), most);
    fault(where, `${column} ${value} is outside ${least} to ${most}: ${taken} is taken`);
    return taken;
  };
}

function whole(
  texts: ReadonlyMap<string, string>,
  key: string,
  least: number,
  most: number,
  usual: number,
  where: string,
  fault: Report,
): number {
  const text = texts.get(key);
  if (text === undefined) return usual;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  fault(where, `external_ids:${key} "${text}" is no number from ${least} to ${most}`);
  return usual;
}
