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
import { MacEntries } from './mac-entries.js';
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
  readonly #entries: MacEntries;
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

  /** @param seed of the hash by which entries are found: a secret, as whoever knows it could make up addresses that all have the same */
  constructor(config: MacTableConfig, seed = 0) {
    this.#config = config;
    this.#entries = new MacEntries(seed);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(vlan: Vid, mac: MacAddress): MacEntry | undefined {
    return this.#entries.get(vlan, mac);
  }

  entries(): IterableIterator<MacEntry> {
    return this.#entries.all();
  }

  /** Number of entries on `port`. */
  sizeOf(port: LogicalPortId): number {
    return this.#entries.sizeOf(port);
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
    for (const entry of this.#entries.all()) {
      if (this.#refusal(entry.port, entry.vlan, entry.mac) !== undefined)
        this.#forget(entry, 'unconfigured', out);
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
    const refusal = this.#refusal(port, vlan, mac);
    if (refusal !== undefined) {
      this.counters.refused[refusal]++;
      return [];
    }
    const known = this.#entries.get(vlan, mac);
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
      this.#entries.remove(known);
      if (known.port === port) out.push({ kind: 'learned', entry, refreshed: true });
      else {
        this.counters.moved++;
        out.push({ kind: 'learned', entry, movedFrom: known.port });
      }
    }
    this.#entries.add(entry);
    return out;
  }

  #age({ port, vlan, mac }: { port: LogicalPortId; vlan: Vid; mac: MacAddress }): MacOutput[] {
    const entry = this.#entries.get(vlan, mac);
    // The rule of the port an address moved away from says nothing about the address.
    if (entry?.port !== port) return [];
    const out: MacOutput[] = [];
    this.counters.aged++;
    this.#forget(entry, 'aged', out);
    return out;
  }

  #adopt(
    { port, vlan, mac }: { port: LogicalPortId; vlan: Vid; mac: MacAddress },
    nowMs: number,
  ): MacOutput[] {
    const full = this.#entries.size >= this.#config.limit;
    if (full || this.get(vlan, mac) !== undefined || this.#refusal(port, vlan, mac) !== undefined) return [];
    const entry = { vlan, mac, port, learnedAtMs: nowMs };
    this.#entries.add(entry);
    return [{ kind: 'learned', entry }];
  }

  #flush(criteria: { port?: LogicalPortId; vlan?: Vid; mac?: MacAddress }): MacOutput[] {
    const { port, vlan, mac } = criteria;
    const out: MacOutput[] = [];
    for (const entry of port === undefined ? this.#entries.all() : this.#entries.of(port)) {
      if ((vlan === undefined || entry.vlan === vlan) && (mac === undefined || entry.mac === mac)) {
        this.counters.flushed++;
        this.#forget(entry, 'flushed', out);
      }
    }
    return out;
  }

  #refusal(port: LogicalPortId, vlan: Vid, mac: MacAddress): Refusal | undefined {
    const { ownMacs, staticKeys, ports, floodVlans } = this.#config;
    if (isMulticast(mac)) return 'multicast';
    if (ownMacs.has(mac)) return 'own-address';
    if (staticKeys.size > 0 && staticKeys.has(macKey(vlan, mac))) return 'static-entry';
    const carried = ports.get(port);
    if (carried === undefined) return 'unknown-port';
    if (!carried.has(vlan)) return 'vlan-not-carried';
    if (floodVlans.has(vlan)) return 'learning-disabled';
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
    const oldest = this.#entries.oldestOfLargest();
    if (oldest === undefined) return;
    this.counters.evicted++;
    this.#forget(oldest, 'evicted', out);
  }

  #forget(
    entry: MacEntry,
    because: Extract<MacOutput, { kind: 'forgotten' }>['because'],
    out: MacOutput[],
  ): void {
    this.#entries.remove(entry);
    out.push({ kind: 'forgotten', entry, because });
  }
}
