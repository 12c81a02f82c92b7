/** An sFlow agent (sflow_version_5.txt §3): turns samples and counters into numbered datagrams. */
import {
  writeExtendedSwitch,
  writeRecord,
  writeSampledHeader,
  XdrWriter,
  type DataRecord,
} from './structures.js';

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
  readonly #writer = new XdrWriter();
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
    const datagrams: Uint8Array[] = [];
    const writer = this.#writer;
    let samples = 0;
    const close = (end: number) => {
      if (samples === 0) return;
      writer.patch(this.#headerBytes - 4, samples);
      datagrams.push(writer.slice(0, end));
      samples = 0;
    };
    const add = (write: () => void) => {
      if (samples === 0) this.#begin(nowMs);
      const begin = writer.at;
      write();
      if (writer.at > DATAGRAM_BYTES && samples > 0) {
        const beyond = writer.slice(begin, writer.at);
        close(begin);
        this.#begin(nowMs);
        writer.raw(beyond);
      }
      samples += 1;
    };
    for (const sample of flows) add(() => this.#flowSample(sample));
    for (const sample of counters) add(() => this.#counterSample(sample));
    close(writer.at);
    return datagrams;
  }

  get #headerBytes(): number {
    return 24 + this.#options.agentAddress.length;
  }

  /** `struct sample_datagram_v5`, as yet without samples. */
  #begin(nowMs: number): void {
    const { agentAddress, subAgentId, bootMs } = this.#options;
    this.#datagramSequence = (this.#datagramSequence + 1) >>> 0;
    const writer = this.#writer;
    writer.at = 0;
    writer.u32(5);
    writer.u32(agentAddress.length === 4 ? 1 : 2);
    writer.raw(agentAddress);
    writer.u32(subAgentId);
    writer.u32(this.#datagramSequence);
    writer.u32(Math.max(0, Math.round(nowMs - bootMs)));
    writer.u32(0);
  }

  /** `struct flow_sample` (sample_type 1). */
  #flowSample(sample: FlowSample): void {
    const { inputIfIndex, outputIfIndexes, header, frameLength, samplingRate, samplePool, drops } = sample;
    const stripped = FCS_BYTES + (sample.stripped ?? 0);
    const [first = DISCARDED] = outputIfIndexes;
    const writer = this.#writer;
    writer.u32(1);
    writer.sized(() => {
      writer.u32(next(this.#flowSequences, inputIfIndex));
      writer.u32(sourceId(inputIfIndex));
      writer.u32(samplingRate);
      writer.u32(samplePool);
      writer.u32(drops);
      writer.u32(inputIfIndex);
      writer.u32(outputIfIndexes.length > 1 ? MULTIPLE | outputIfIndexes.length : first);
      writer.u32(2);
      writeSampledHeader(writer, header, frameLength + FCS_BYTES, stripped);
      writeExtendedSwitch(writer, sample);
    });
  }

  /** `struct counters_sample` (sample_type 2). */
  #counterSample({ ifIndex, records }: CounterSample): void {
    const writer = this.#writer;
    writer.u32(2);
    writer.sized(() => {
      writer.u32(next(this.#counterSequences, ifIndex));
      writer.u32(sourceId(ifIndex));
      writer.u32(records.length);
      for (const record of records) writeRecord(writer, record);
    });
  }
}

function next(sequences: Map<number, number>, source: number): number {
  const number = ((sequences.get(source) ?? 0) + 1) >>> 0;
  sequences.set(source, number);
  return number;
}
