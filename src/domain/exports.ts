/**
 * What a bridge tells collectors of its traffic: samples (sFlow) and accounts of flows (NetFlow, IPFIX), in the words of
 * ovs-vswitchd.conf.db(5), tables sFlow, NetFlow, IPFIX and Flow_Sample_Collector_Set; and what the switch has to observe
 * for that.
 */

/** Where datagrams go. `host` is an address or a name. */
export interface Collector {
  readonly host: string;
  readonly port: number;
}

interface Exporting {
  readonly collectors: readonly Collector[];
  /** Most datagrams a second to each collector. */
  readonly datagramsPerS: number;
}

export interface SflowSettings extends Exporting {
  /** Name of an interface or an address; null: that by which the first collector is reached. */
  readonly agent: string | null;
  /** Most bytes of a frame that are sent. */
  readonly headerBytes: number;
  /** Seconds between samples of each port's counters; 0: none. */
  readonly pollingS: number;
  /** One frame in so many, at random; 0: none. */
  readonly sampling: number;
}

export interface NetflowSettings extends Exporting {
  readonly version: 5 | 9;
  /** Long flows are told of so often; 0: when they end only. */
  readonly activeTimeoutS: number;
  readonly idleTimeoutS: number;
  readonly engineType: number;
  /** Null: the bridge's own (the low byte of its datapath id). */
  readonly engineId: number | null;
  /** Puts the low seven bits of the engine's id into the upper ones of interface numbers. */
  readonly addIdToInterface: boolean;
  /** Interfaces are told by these numbers. */
  readonly interfaceNumbers: 'openflow' | 'ifindex';
  /** One packet in so many is accounted. */
  readonly sampling: number;
}

export interface IpfixSettings extends Exporting {
  /** One packet in so many is accounted. */
  readonly sampling: number;
  readonly domainId: number;
  readonly pointId: number | null;
  readonly activeTimeoutS: number;
  readonly idleTimeoutS: number;
  readonly maxFlows: number;
}

/** A number that users' flows may name in `sample(collector_set_id=…)`, and who is told of what they sample. */
export interface SampleSet {
  readonly id: number;
  readonly ipfix: IpfixSettings;
}

export interface Exports {
  readonly sflow?: SflowSettings;
  readonly netflow?: NetflowSettings;
  readonly ipfix?: IpfixSettings;
  readonly sampleSets?: readonly SampleSet[];
  /** Somebody looks at the flows as they are (`weft top`). */
  readonly isWatched?: boolean;
  /** Ids of observers that the switch refused: left out. */
  readonly withheld?: ReadonlySet<number>;
}

export type ExportName = 'sFlow' | 'NetFlow' | 'IPFIX' | 'live view';

/** What the switch is to do with the packets that `sample` actions hand to this id (ARCHITECTURE.md, "Observers"). */
export interface Observer {
  readonly id: number;
  readonly name: ExportName;
  readonly kind: 'sample' | 'account';
  /** The bridge's own rules hand every frame to it; else users' flows do. */
  readonly isForAll: boolean;
  /** One in so many, at random. */
  readonly interval: number;
  readonly headerBytes: number;
  /** 0: never. */
  readonly activeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxFlows: number;
  readonly maxRecordsPerS: number;
}

/** Ids from here on are the bridge program's (like groups and meters); those below are users', for their collector sets. */
export const FIRST_OWN_OBSERVER = 0x5700_0000;
export const SFLOW_OBSERVER = FIRST_OWN_OBSERVER + 1;
export const NETFLOW_OBSERVER = FIRST_OWN_OBSERVER + 2;
export const IPFIX_OBSERVER = FIRST_OWN_OBSERVER + 3;
export const LIVE_OBSERVER = FIRST_OWN_OBSERVER + 4;

/** Flows that are watched at once where nothing else is said. */
export const MAX_FLOWS = 131_072;
/** Flows of the live view, and how often it hears of them. */
const LIVE = { maxFlows: 16_384, everyMs: 1_000 } as const;
/** Samples and records that a switch may send in a second: what JavaScript keeps up with. */
const MAX_SAMPLES_PER_S = 20_000;
const MAX_RECORDS_PER_S = 50_000;

const everyId = (given: SampleSet, i: number, all: readonly SampleSet[]): boolean =>
  all.findIndex(({ id }) => id === given.id) === i;

/** In the order of their ids. */
export function observersOf(exports: Exports | undefined): Observer[] {
  if (exports === undefined) return [];
  const { sflow, netflow, ipfix, sampleSets = [], isWatched = false, withheld } = exports;
  const account = { kind: 'account', headerBytes: 0, maxRecordsPerS: MAX_RECORDS_PER_S } as const;
  const observers: Observer[] = [];
  const ofIpfix = (id: number, settings: IpfixSettings, isForAll: boolean): Observer => ({
    ...account,
    id,
    name: 'IPFIX',
    isForAll,
    interval: settings.sampling,
    activeTimeoutMs: settings.activeTimeoutS * 1000,
    idleTimeoutMs: settings.idleTimeoutS * 1000,
    maxFlows: settings.maxFlows,
  });
  for (const { id, ipfix: settings } of sampleSets.filter(everyId))
    observers.push(ofIpfix(id, settings, false));
  if (sflow !== undefined && sflow.sampling > 0)
    observers.push({
      id: SFLOW_OBSERVER,
      name: 'sFlow',
      kind: 'sample',
      isForAll: true,
      interval: sflow.sampling,
      headerBytes: sflow.headerBytes,
      activeTimeoutMs: 0,
      idleTimeoutMs: 0,
      maxFlows: 0,
      maxRecordsPerS: MAX_SAMPLES_PER_S,
    });
  if (netflow !== undefined)
    observers.push({
      ...account,
      id: NETFLOW_OBSERVER,
      name: 'NetFlow',
      isForAll: true,
      interval: netflow.sampling,
      activeTimeoutMs: netflow.activeTimeoutS * 1000,
      idleTimeoutMs: netflow.idleTimeoutS * 1000,
      maxFlows: MAX_FLOWS,
    });
  if (ipfix !== undefined) observers.push(ofIpfix(IPFIX_OBSERVER, ipfix, true));
  if (isWatched)
    observers.push({
      ...account,
      id: LIVE_OBSERVER,
      name: 'live view',
      isForAll: true,
      interval: 1,
      activeTimeoutMs: LIVE.everyMs,
      idleTimeoutMs: LIVE.everyMs,
      maxFlows: LIVE.maxFlows,
    });
  return withheld ? observers.filter(({ id }) => !withheld.has(id)) : observers;
}
