/** From what a switch's observer sampled, and from counters, to sFlow's datagrams. Pure. */
import type { ObserverSamples } from 'node-openflow';
import { SflowAgent, type CounterSample, type FlowSample } from '../protocols/index.js';
import type { PortIdentities } from './ports.js';

const VLAN_ID = 0x0fff;
const PRESENT = 0x1000;
/** `drops` and `pool` have 32 bits on sFlow's wire, and wrap. */
const U32 = 0x1_0000_0000;

export interface SampleCounters {
  readonly datagrams: number;
  readonly samples: number;
  readonly counterSamples: number;
  /** That the switch lost. */
  readonly drops: number;
}

/** Packets of a port that could have been sampled, and samples of it that were lost. */
interface Source {
  pool: number;
  drops: number;
}

export class SampleExport {
  readonly #agent: SflowAgent;
  readonly #sources = new Map<number, Source>();
  #pool = 0n;
  #drops = 0;
  #waiting: FlowSample[] = [];
  #counters: CounterSample[] = [];
  #totals: SampleCounters = { datagrams: 0, samples: 0, counterSamples: 0, drops: 0 };

  /** @param agentAddress 4 or 16 bytes @param bootMs Unix time */
  constructor(
    agentAddress: Uint8Array,
    bootMs: number,
    private readonly sampling: number,
  ) {
    this.#agent = new SflowAgent({ agentAddress, subAgentId: 0, bootMs });
  }

  get counters(): SampleCounters {
    return this.#totals;
  }

  take({ entries, pool, drops }: ObserverSamples, ports: PortIdentities): void {
    if (entries.length === 0) return;
    // An observer that was set anew counts anew.
    const grown = pool >= this.#pool ? Number(pool - this.#pool) : Number(pool);
    const lost = drops >= this.#drops ? drops - this.#drops : drops;
    this.#pool = pool;
    this.#drops = drops;
    this.#totals = { ...this.#totals, drops: this.#totals.drops + lost };
    // The switch counts for all ports together: each is given its part by what was sampled of it, nothing twice, nothing lost.
    const share = (total: number, i: number) =>
      Math.floor((total * (i + 1)) / entries.length) - Math.floor((total * i) / entries.length);
    for (const [i, entry] of entries.entries()) {
      const inputIfIndex = ports.ifIndexOf(entry.inPort);
      let source = this.#sources.get(inputIfIndex);
      if (source === undefined) this.#sources.set(inputIfIndex, (source = { pool: 0, drops: 0 }));
      source.pool = (source.pool + share(grown, i)) % U32;
      source.drops = (source.drops + share(lost, i)) % U32;
      const inside = entry.vlan & VLAN_ID;
      const vlanOf = (tci: number) => ((tci & PRESENT) === 0 ? inside : tci & VLAN_ID);
      this.#waiting.push({
        inputIfIndex,
        outputIfIndexes: Array<number>(entry.outputs).fill(ports.ifIndexOf(entry.outPort)),
        header: entry.header.slice(),
        frameLength: entry.frameLength,
        stripped: entry.stripped,
        sourceVlan: vlanOf(entry.vlanIn),
        sourcePriority: entry.vlanIn >>> 13,
        destinationVlan: vlanOf(entry.vlanOut),
        destinationPriority: entry.vlanOut >>> 13,
        samplingRate: this.sampling,
        samplePool: source.pool,
        drops: source.drops,
      });
    }
  }

  takeCounters(sample: CounterSample): void {
    this.#counters.push(sample);
  }

  get isWaiting(): boolean {
    return this.#waiting.length + this.#counters.length > 0;
  }

  /** What waits, as datagrams. @param nowMs Unix time */
  datagrams(nowMs: number): readonly Uint8Array[] {
    const [flows, counters] = [this.#waiting, this.#counters];
    this.#waiting = [];
    this.#counters = [];
    const datagrams = this.#agent.datagrams(flows, counters, nowMs);
    const totals = this.#totals;
    this.#totals = {
      ...totals,
      datagrams: totals.datagrams + datagrams.length,
      samples: totals.samples + flows.length,
      counterSamples: totals.counterSamples + counters.length,
    };
    return datagrams;
  }
}
