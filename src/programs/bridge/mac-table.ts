/**
 * The MAC table of one bridge: which logical port each (VLAN, address) was last seen on.
 *
 * A pure machine: `step(input, nowMs)` changes the table and returns what the switch must now be told. It learns
 * from packet-ins, notices moves, forgets what the switch aged out, and at its limit evicts the oldest entry of
 * the port that holds most, so that one port's address flood cannot push out the others' entries.
 *
 * Every operation is O(1), whatever the table's size.
 */
import { isMulticast, type MacAddress, type Vid, type VlanSet } from '../../domain/index.js';
import { TokenBucket } from './token-bucket.js';

/** Number of a logical port (see `metadata.ts`). */
export type LogicalPortId = number;

export interface MacEntry {
  readonly vlan: Vid;
  readonly mac: MacAddress;
  readonly port: LogicalPortId;
  readonly learnedAtMs: number;
}

export interface MacTableConfig {
  /** Most learned entries. */
  readonly limit: number;
  /** Logical ports and the VLANs they carry; entries elsewhere are forgotten and refused. */
  readonly ports: ReadonlyMap<LogicalPortId, VlanSet>;
  /** Addresses of the bridge's own interfaces: refused as sources. */
  readonly ownMacs: ReadonlySet<MacAddress>;
  /** `macKey` of entries pinned by configuration: refused on every port. */
  readonly staticKeys: ReadonlySet<string>;
  /** VLANs without learning. */
  readonly floodVlans: VlanSet;
  /** New entries and moves allowed per port and second, and at once. */
  readonly learnRatePerS: number;
  readonly learnBurst: number;
}

export type MacInput =
  | { readonly kind: 'configure'; readonly config: MacTableConfig }
  /** The switch saw a source address it has no rule for on this port. */
  | { readonly kind: 'packetIn'; readonly port: LogicalPortId; readonly vlan: Vid; readonly mac: MacAddress }
  /** The source rule of this entry fell idle. */
  | { readonly kind: 'aged'; readonly port: LogicalPortId; readonly vlan: Vid; readonly mac: MacAddress }
  /** Found installed when connecting. */
  | { readonly kind: 'adopt'; readonly port: LogicalPortId; readonly vlan: Vid; readonly mac: MacAddress }
  /** Forget every entry that all the given criteria fit. */
  | { readonly kind: 'flush'; readonly port?: LogicalPortId; readonly vlan?: Vid; readonly mac?: MacAddress };

export type MacOutput =
  /** `movedFrom`: the port the address was on. `refreshed`: known, but the switch had lost the rule. */
  | {
      readonly kind: 'learned';
      readonly entry: MacEntry;
      readonly movedFrom?: LogicalPortId;
      readonly refreshed?: true;
    }
  | {
      readonly kind: 'forgotten';
      readonly entry: MacEntry;
      readonly because: 'aged' | 'evicted' | 'flushed' | 'unconfigured';
    };

export type Refusal =
  | 'multicast'
  | 'own-address'
  | 'static-entry'
  | 'unknown-port'
  | 'vlan-not-carried'
  | 'learning-disabled'
  | 'rate-limited';

/**
 * A port may make known twice a default table's worth of addresses at once, as when a trunk comes up, and from then
 * on 2000 a second: a flood of made-up addresses costs the controller a fraction of a processor, not all of one.
 */
export const LEARN_RATE_PER_S = 2_000;
export const LEARN_BURST = 16_384;

/**
 * Packet-ins already under way when a rule was installed repeat what is known. Later ones mean that the rule is
 * gone (removed by hand, or its FLOW_REMOVED was lost), and it is sent again.
 */
const REFRESH_AFTER_MS = 1000;

/** Identity of an entry. */
export function macKey(vlan: Vid, mac: MacAddress): string {
  return `${vlan} ${mac}`;
}

export class MacTable {
  #config: MacTableConfig;
  readonly #entries = new Map<string, MacEntry>();
  /** Each port's entries in the order they were learned, oldest first. */
  readonly #byPort = new Map<LogicalPortId, Map<string, MacEntry>>();
  /** Ports by how many entries they hold, and the greatest such number: makes eviction O(1). */
  readonly #portsBySize = new Map<number, Set<LogicalPortId>>();
  #largestSize = 0;
  readonly #buckets = new Map<LogicalPortId, TokenBucket>();

  /** Totals since the table was made. */
  readonly counters = {
    learned: 0,
    moved: 0,
    aged: 0,
    evicted: 0,
    flushed: 0,
    refused: {
      multicast: 0,
      'own-address': 0,
      'static-entry': 0,
      'unknown-port': 0,
      'vlan-not-carried': 0,
      'learning-disabled': 0,
      'rate-limited': 0,
    } satisfies Record<Refusal, number>,
  };

  constructor(config: MacTableConfig) {
    this.#config = config;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(vlan: Vid, mac: MacAddress): MacEntry | undefined {
    return this.#entries.get(macKey(vlan, mac));
  }

  entries(): IterableIterator<MacEntry> {
    return this.#entries.values();
  }

  /** Number of entries on `port`. */
  sizeOf(port: LogicalPortId): number {
    return this.#byPort.get(port)?.size ?? 0;
  }

  step(input: MacInput, nowMs: number): MacOutput[] {
    switch (input.kind) {
      case 'configure':
        return this.#configure(input.config);
      case 'packetIn':
        return this.#learn(input, nowMs);
      case 'aged':
        return this.#age(input);
      case 'adopt':
        return this.#adopt(input, nowMs);
      case 'flush':
        return this.#flush(input);
    }
  }

  #configure(config: MacTableConfig): MacOutput[] {
    this.#config = config;
    const out: MacOutput[] = [];
    for (const [key, entry] of this.#entries) {
      if (this.#refusal(entry, key) !== undefined) this.#forget(key, entry, 'unconfigured', out);
    }
    while (this.#entries.size > config.limit) this.#evict(out);
    for (const port of this.#buckets.keys()) {
      const bucket = this.#buckets.get(port);
      const stale = bucket?.ratePerS !== config.learnRatePerS || bucket.burst !== config.learnBurst;
      if (stale || !config.ports.has(port)) this.#buckets.delete(port);
    }
    return out;
  }

  #learn(
    { port, vlan, mac }: { port: LogicalPortId; vlan: Vid; mac: MacAddress },
    nowMs: number,
  ): MacOutput[] {
    const key = macKey(vlan, mac);
    const refusal = this.#refusal({ port, vlan, mac }, key);
    if (refusal !== undefined) {
      this.counters.refused[refusal]++;
      return [];
    }
    const known = this.#entries.get(key);
    if (known?.port === port && nowMs - known.learnedAtMs < REFRESH_AFTER_MS) return [];
    if (!this.#bucketOf(port, nowMs).take(nowMs)) {
      this.counters.refused['rate-limited']++;
      return [];
    }
    const out: MacOutput[] = [];
    const entry = { vlan, mac, port, learnedAtMs: nowMs };
    if (known === undefined) {
      while (this.#entries.size >= this.#config.limit) this.#evict(out);
      this.counters.learned++;
      out.push({ kind: 'learned', entry });
    } else {
      this.#drop(key, known);
      if (known.port === port) out.push({ kind: 'learned', entry, refreshed: true });
      else {
        this.counters.moved++;
        out.push({ kind: 'learned', entry, movedFrom: known.port });
      }
    }
    this.#put(key, entry);
    return out;
  }

  #age({ port, vlan, mac }: { port: LogicalPortId; vlan: Vid; mac: MacAddress }): MacOutput[] {
    const key = macKey(vlan, mac);
    const entry = this.#entries.get(key);
    // The rule of the port an address moved away from says nothing about the address.
    if (entry?.port !== port) return [];
    const out: MacOutput[] = [];
    this.counters.aged++;
    this.#forget(key, entry, 'aged', out);
    return out;
  }

  #adopt(
    { port, vlan, mac }: { port: LogicalPortId; vlan: Vid; mac: MacAddress },
    nowMs: number,
  ): MacOutput[] {
    const key = macKey(vlan, mac);
    const full = this.#entries.size >= this.#config.limit;
    if (full || this.#entries.has(key) || this.#refusal({ port, vlan, mac }, key) !== undefined) return [];
    const entry = { vlan, mac, port, learnedAtMs: nowMs };
    this.#put(key, entry);
    return [{ kind: 'learned', entry }];
  }

  #flush(criteria: { port?: LogicalPortId; vlan?: Vid; mac?: MacAddress }): MacOutput[] {
    const { port, vlan, mac } = criteria;
    const out: MacOutput[] = [];
    const candidates =
      port === undefined ? this.#entries : (this.#byPort.get(port) ?? new Map<string, MacEntry>());
    for (const [key, entry] of candidates) {
      if ((vlan === undefined || entry.vlan === vlan) && (mac === undefined || entry.mac === mac)) {
        this.counters.flushed++;
        this.#forget(key, entry, 'flushed', out);
      }
    }
    return out;
  }

  #refusal({ port, vlan, mac }: Omit<MacEntry, 'learnedAtMs'>, key: string): Refusal | undefined {
    if (isMulticast(mac)) return 'multicast';
    if (this.#config.ownMacs.has(mac)) return 'own-address';
    if (this.#config.staticKeys.has(key)) return 'static-entry';
    const carried = this.#config.ports.get(port);
    if (carried === undefined) return 'unknown-port';
    if (!carried.has(vlan)) return 'vlan-not-carried';
    if (this.#config.floodVlans.has(vlan)) return 'learning-disabled';
    return undefined;
  }

  #bucketOf(port: LogicalPortId, nowMs: number): TokenBucket {
    let bucket = this.#buckets.get(port);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#config.learnRatePerS, this.#config.learnBurst, nowMs);
      this.#buckets.set(port, bucket);
    }
    return bucket;
  }

  #evict(out: MacOutput[]): void {
    const port = this.#portsBySize.get(this.#largestSize)?.values().next().value;
    const oldest = port === undefined ? undefined : this.#byPort.get(port)?.entries().next().value;
    if (oldest === undefined) return;
    this.counters.evicted++;
    this.#forget(oldest[0], oldest[1], 'evicted', out);
  }

  #forget(
    key: string,
    entry: MacEntry,
    because: Extract<MacOutput, { kind: 'forgotten' }>['because'],
    out: MacOutput[],
  ): void {
    this.#drop(key, entry);
    out.push({ kind: 'forgotten', entry, because });
  }

  #put(key: string, entry: MacEntry): void {
    this.#entries.set(key, entry);
    let held = this.#byPort.get(entry.port);
    if (held === undefined) this.#byPort.set(entry.port, (held = new Map<string, MacEntry>()));
    held.set(key, entry);
    this.#resize(entry.port, held.size - 1, held.size);
  }

  #drop(key: string, entry: MacEntry): void {
    this.#entries.delete(key);
    const held = this.#byPort.get(entry.port);
    if (held?.delete(key) !== true) return;
    if (held.size === 0) this.#byPort.delete(entry.port);
    this.#resize(entry.port, held.size + 1, held.size);
  }

  #resize(port: LogicalPortId, from: number, to: number): void {
    const old = this.#portsBySize.get(from);
    old?.delete(port);
    if (old?.size === 0) this.#portsBySize.delete(from);
    if (to > 0) {
      const ports = this.#portsBySize.get(to);
      if (ports === undefined) this.#portsBySize.set(to, new Set([port]));
      else ports.add(port);
    }
    if (to > this.#largestSize) this.#largestSize = to;
    else if (from === this.#largestSize && !this.#portsBySize.has(from)) this.#largestSize = to;
  }
}
