/** An sFlow agent (sflow_version_5.txt §3): turns samples and counters into numbered datagrams. */
import { concatenate, extendedSwitch, opaque, sampledHeader, words, type DataRecord } from './structures.js';

/** Octets of UDP payload, by default those that the specification's authors recommend. */
const DATAGRAM_BYTES = 1400;
/** Of the fcs, which no frame has any more when it is looked at. */
const FCS_BYTES = 4;

export interface FlowSample {
  readonly inputIfIndex: number;
  /** Where the frame left; none: it was dropped. */
  readonly outputIfIndexes: readonly number[];
  /** Beginning of the frame as it came in. */
  readonly header: Uint8Array;
  /** Of the whole frame as it came in, without FCS. */
  readonly frameLength: number;
  /** Octets before `header` that are left out, beside the FCS; none where it is absent. */
  readonly stripped?: number;
  readonly sourceVlan: number;
  readonly sourcePriority: number;
  readonly destinationVlan: number;
  readonly destinationPriority: number;
  /** One of so many packets of the source is sampled, at random. */
  readonly samplingRate: number;
  /** Packets of the source that could have been sampled, up to this one. */
  readonly samplePool: number;
  /** Samples of the source that were lost for want of room. */
  readonly drops: number;
}

export interface CounterSample {
  readonly ifIndex: number;
  readonly records: readonly DataRecord[];
}

export interface AgentOptions {
  /** 4 or 16 bytes. */
  readonly agentAddress: Uint8Array;
  /** Tells processes of one address apart. */
  readonly subAgentId: number;
  /** Unix time, ms. */
  readonly bootMs: number;
}

/** Sources are ports: type 0 (ifIndex). */
const sourceId = (ifIndex: number): number => ifIndex & 0xff_ffff;
/** `output`, format 2: so many interfaces; format 0: the one; 0x40000000: dropped, reason 0 (unknown). */
const MULTIPLE = 0x8000_0000;
const DISCARDED = 0x4000_0000;

export class SflowAgent {
  readonly #options: AgentOptions;
  #datagramSequence = 0;
  readonly #flowSequences = new Map<number, number>();
  readonly #counterSequences = new Map<number, number>();

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /** The datagrams to send to each collector. @param nowMs Unix time */
  datagrams(
    flows: readonly FlowSample[],
    counters: readonly CounterSample[],
    nowMs: number,
  ): readonly Uint8Array[] {
    const samples = [
      ...flows.map((sample) => this.#flowSample(sample)),
      ...counters.map((sample) => this.#counterSample(sample)),
    ];
    const datagrams: Uint8Array[] = [];
    let some: Uint8Array[] = [];
    let used = 0;
    const close = () => {
      if (some.length > 0) datagrams.push(this.#datagram(some, nowMs));
      some = [];
      used = 0;
    };
    const room = DATAGRAM_BYTES - this.#headerBytes;
    for (const sample of samples) {
      if (used + sample.length > room) close();
      some.push(sample);
      used += sample.length;
    }
    close();
    return datagrams;
  }

  get #headerBytes(): number {
    return 24 + this.#options.agentAddress.length;
  }

  /** `struct sample_datagram_v5`. */
  #datagram(samples: readonly Uint8Array[], nowMs: number): Uint8Array {
    const { agentAddress, subAgentId, bootMs } = this.#options;
    this.#datagramSequence = (this.#datagramSequence + 1) >>> 0;
    const uptimeMs = Math.max(0, Math.round(nowMs - bootMs));
    return concatenate([
      words(5, agentAddress.length === 4 ? 1 : 2),
      agentAddress,
      words(subAgentId, this.#datagramSequence, uptimeMs, samples.length),
      ...samples,
    ]);
  }

  /** `struct flow_sample` (sample_type 1). */
  #flowSample(sample: FlowSample): Uint8Array {
    const { inputIfIndex, outputIfIndexes, header, frameLength, samplingRate, samplePool, drops } = sample;
    const stripped = FCS_BYTES + (sample.stripped ?? 0);
    const [first, ...others] = outputIfIndexes;
    const output =
      first === undefined ? DISCARDED : others.length > 0 ? (MULTIPLE | outputIfIndexes.length) >>> 0 : first;
    const fixed = words(
      next(this.#flowSequences, inputIfIndex),
      sourceId(inputIfIndex),
      samplingRate,
      samplePool,
      drops,
      inputIfIndex,
      output,
    );
    const records = [sampledHeader(header, frameLength + FCS_BYTES, stripped), extendedSwitch(sample)];
    return dataOf(1, [fixed, ...recordsOf(records)]);
  }

  /** `struct counters_sample` (sample_type 2). */
  #counterSample({ ifIndex, records }: CounterSample): Uint8Array {
    const fixed = words(next(this.#counterSequences, ifIndex), sourceId(ifIndex));
    return dataOf(2, [fixed, ...recordsOf(records)]);
  }
}

function next(sequences: Map<number, number>, source: number): number {
  const number = ((sequences.get(source) ?? 0) + 1) >>> 0;
  sequences.set(source, number);
  return number;
}

function recordsOf(records: readonly DataRecord[]): Uint8Array[] {
  return [words(records.length), ...records.flatMap(({ format, bytes }) => [words(format), opaque(bytes)])];
}

function dataOf(format: number, parts: readonly Uint8Array[]): Uint8Array {
  return concatenate([words(format), opaque(concatenate(parts))]);
}
