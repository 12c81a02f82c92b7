/** The bonds of a bridge and its ports with LACP: configured, fed and asked together. Pure: takes the time. */
import {
  LOCAL_PORT,
  macAddress,
  type Bridge,
  type LogicalPort,
  type MacAddress,
} from '../../../domain/index.js';
import { LacpEntity, type LacpConfig, type LacpSnapshot, type LacpStatus } from '../../../protocols/index.js';
import type { PortLinks } from '../../program.js';
import { Bond, type BondConfig, type BondSnapshot, type LacpView } from './bond.js';
import { BondError, type BondCommand, type BondStatus } from './status.js';

/** In place of addresses that are not known. */
const NO_MAC = macAddress('00:00:00:00:00:00');
const MAX_LACP_NUMBER = 0xffff;

interface Aggregation {
  port: LogicalPort;
  bond: Bond | null;
  lacp: LacpEntity | null;
}

/** What is to be sent, and whether flows are others now. */
export interface AggregationOutputs {
  readonly frames: readonly { readonly ofport: number; readonly frame: Uint8Array }[];
  readonly isStale: boolean;
  /** Bonds behind which stations are to be announced. */
  readonly learning: readonly string[];
  /** Whether counters of hashes are wanted. */
  readonly wantsCounts: boolean;
  /** What changed, for people. */
  readonly notices: readonly { readonly bond: string; readonly message: string }[];
}

export interface AggregationsSnapshot {
  readonly version: 1;
  readonly ports: Readonly<Record<string, { bond: BondSnapshot | null; lacp: LacpSnapshot | null }>>;
}

export class Aggregations {
  readonly #ports = new Map<string, Aggregation>();
  /** Name of port and interface, by OpenFlow port. */
  #byOfport = new Map<number, { port: string; member: string }>();
  #told = new Map<string, string>();
  /** Another one for whatever is to survive a restart. */
  #heard = 0;

  configure(bridge: Bridge, links: PortLinks | undefined, nowMs: number): void {
    const systemId = bridgeAddress(bridge, links);
    const byOfport = new Map<number, { port: string; member: string }>();
    const stale = new Set(this.#ports.keys());
    for (const port of bridge.ports) {
      const members = port.interfaces.flatMap(({ name, ofport }) =>
        ofport === null ? [] : [{ name, ofport }],
      );
      const isBond = port.interfaces.length > 1;
      if (members.length === 0 || (!isBond && port.lacp === undefined)) continue;
      stale.delete(port.name);
      for (const { name, ofport } of members) byOfport.set(ofport, { port: port.name, member: name });
      const aggregation = this.#ports.get(port.name) ?? { port, bond: null, lacp: null };
      this.#ports.set(port.name, aggregation);
      aggregation.port = port;
      const bondConfig = isBond ? configOfBond(port, links) : null;
      if (bondConfig === null) aggregation.bond = null;
      else if (aggregation.bond) aggregation.bond.configure(bondConfig, nowMs);
      else aggregation.bond = new Bond(bondConfig, nowMs);
      const lacpConfig = configOfLacp(port, systemId, links);
      if (lacpConfig === null) aggregation.lacp = null;
      else if (aggregation.lacp) aggregation.lacp.configure(lacpConfig);
      else aggregation.lacp = new LacpEntity(lacpConfig);
    }
    for (const name of stale) this.#ports.delete(name);
    this.#byOfport = byOfport;
    // Before the switch has told of its ports, what is known from an earlier run stands.
    if (links === undefined) return;
    for (const ofport of byOfport.keys()) {
      const link = links.get(ofport);
      this.setLink(ofport, link !== undefined && link.isAdminUp && link.isLinkUp, nowMs);
    }
  }

  setLink(ofport: number, isUp: boolean, nowMs: number): void {
    const { port = '', member = '' } = this.#byOfport.get(ofport) ?? {};
    const aggregation = this.#ports.get(port);
    aggregation?.bond?.setLink(member, isUp);
    aggregation?.lacp?.setLink(member, isUp, nowMs);
  }

  /** A frame to the slow protocols' address came in. */
  receive(ofport: number, frame: Uint8Array, nowMs: number): void {
    const { port = '', member = '' } = this.#byOfport.get(ofport) ?? {};
    this.#ports.get(port)?.lacp?.receive(member, frame, nowMs);
    this.#heard++;
  }

  /** To be called after every input, and at `wakeAtMs`. */
  run(nowMs: number): AggregationOutputs {
    const frames: { ofport: number; frame: Uint8Array }[] = [];
    const learning: string[] = [];
    const notices: { bond: string; message: string }[] = [];
    let isStale = false;
    let wantsCounts = false;
    for (const [name, { port, bond, lacp }] of this.#ports) {
      for (const { member, frame } of lacp?.run(nowMs) ?? []) {
        const ofport = port.interfaces.find((it) => it.name === member)?.ofport;
        if (ofport !== null && ofport !== undefined) frames.push({ ofport, frame });
      }
      if (!bond) continue;
      if (bond.run(lacpView(lacp), nowMs)) isStale = true;
      if (bond.takeLearning(nowMs)) learning.push(name);
      if (bond.takeCount(nowMs)) wantsCounts = true;
      const message = describe(bond, lacp);
      if (this.#told.get(name) !== message) notices.push({ bond: name, message });
      this.#told.set(name, message);
    }
    return { frames, isStale, learning, wantsCounts, notices };
  }

  wakeAtMs(nowMs: number): number {
    const wakes = [...this.#ports.values()].flatMap(({ bond, lacp }) => [
      bond?.wakeAtMs() ?? Infinity,
      lacp?.wakeAtMs(nowMs) ?? Infinity,
    ]);
    return Math.min(Infinity, ...wakes);
  }

  bond(name: string): Bond | null {
    return this.#ports.get(name)?.bond ?? null;
  }

  /** Bytes that the switch has counted for a hash of a bond. */
  count(name: string, hash: number, bytes: bigint): void {
    this.bond(name)?.count(hash, bytes);
  }

  lacp(name: string): LacpEntity | null {
    return this.#ports.get(name)?.lacp ?? null;
  }

  /** @throws BondError when there is no such bond, or it cannot do this */
  command(command: BondCommand, nowMs: number): void {
    const bond = this.bond(command.bond);
    if (!bond) throw new BondError('no such bond');
    bond.command(command, nowMs);
  }

  bondStatus(nowMs: number): BondStatus[] {
    return this.#sorted().flatMap(([name, { bond, lacp }]) => {
      if (!bond) return [];
      const { settings, lacpFallbackAb } = bond.config;
      const { mode, hashBasis, allMembersActive, updelayMs, downdelayMs, primary } = settings;
      return [
        {
          name,
          mode,
          hashBasis,
          allMembersActive,
          updelayMs,
          downdelayMs,
          primary,
          lacpFallbackAb,
          lacpStatus: lacpView(lacp).status,
          ...bond.status(nowMs),
        },
      ];
    });
  }

  lacpStatus(): LacpStatus[] {
    return this.#sorted().flatMap(([, { lacp }]) => lacp?.status() ?? []);
  }

  /** Changes whenever the snapshot is another one. */
  get snapshotKey(): string {
    const revisions = [...this.#ports].map(([name, { bond }]) => `${name} ${bond?.revision ?? 0}`);
    return `${this.#heard} ${revisions.join()}`;
  }

  snapshot(): AggregationsSnapshot | undefined {
    if (this.#ports.size === 0) return undefined;
    const ports = [...this.#ports].map(([name, { bond, lacp }]) => [
      name,
      { bond: bond?.snapshot() ?? null, lacp: lacp?.snapshot() ?? null },
    ]);
    return { version: 1, ports: Object.fromEntries(ports) as AggregationsSnapshot['ports'] };
  }

  restore({ version, ports }: AggregationsSnapshot, elapsedMs: number, nowMs: number): void {
    // Of another version of the program.
    if ((version as number) !== 1) return;
    for (const [name, { bond, lacp }] of this.#ports) {
      const saved = ports[name];
      if (!saved) continue;
      if (saved.lacp) lacp?.restore(saved.lacp, elapsedMs, nowMs);
      if (saved.bond) bond?.restore(saved.bond);
    }
  }

  #sorted(): [string, Aggregation][] {
    return [...this.#ports].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

function lacpView(lacp: LacpEntity | null): LacpView {
  if (!lacp) return { status: 'off', mayEnable: () => true };
  return {
    status: lacp.isNegotiated ? 'negotiated' : 'configured',
    mayEnable: (name) => lacp.mayEnable(name),
  };
}

function describe(bond: Bond, lacp: LacpEntity | null): string {
  const names = bond.enabledFrom(null).map(({ name }) => name);
  const active = bond.active === null ? '' : `, active: ${bond.active}`;
  const { status } = lacpView(lacp);
  return `${names.length > 0 ? names.join(', ') : 'no member'} enabled${active}${status === 'off' ? '' : `, LACP ${status}`}`;
}

function configOfBond(port: LogicalPort, links: PortLinks | undefined): BondConfig | null {
  if (!port.bond) return null;
  return {
    name: port.name,
    settings: port.bond,
    lacpFallbackAb: port.lacp?.fallbackAb ?? false,
    members: port.interfaces.flatMap(({ name, ofport, mac }) =>
      ofport === null ? [] : [{ name, ofport, mac: links?.get(ofport)?.mac ?? mac }],
    ),
  };
}

/** Numbers as Open vSwitch's: port ids are OpenFlow port numbers, the key is the lowest of them. */
function configOfLacp(
  port: LogicalPort,
  systemId: MacAddress,
  links: PortLinks | undefined,
): LacpConfig | null {
  const settings = port.lacp;
  if (settings === undefined) return null;
  const members = port.interfaces.flatMap(({ name, ofport, mac, lacp }) => {
    if (ofport === null) return [];
    return [
      {
        name,
        mac: links?.get(ofport)?.mac ?? mac ?? NO_MAC,
        portId: lacp?.portId ?? Math.min(ofport, MAX_LACP_NUMBER),
        portPriority: lacp?.portPriority ?? MAX_LACP_NUMBER,
        key: lacp?.aggregationKey ?? null,
      },
    ];
  });
  const key = Math.min(MAX_LACP_NUMBER, ...members.map(({ portId }) => portId));
  return {
    port: port.name,
    settings,
    systemId: settings.systemId ?? systemId,
    members: members.map((member) => ({ ...member, key: member.key ?? key })),
  };
}

function bridgeAddress(bridge: Bridge, links: PortLinks | undefined): MacAddress {
  const local = bridge.ports.find(({ name }) => name === bridge.name)?.interfaces[0];
  return local?.mac ?? links?.get(LOCAL_PORT)?.mac ?? NO_MAC;
}
