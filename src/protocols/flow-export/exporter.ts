/** An exporter of flow records: numbers its datagrams and repeats its templates, as RFC 3954 §9 and RFC 7011 §8.4 want over UDP. */
import { encodeNetFlow5 } from './netflow5.js';
import type { FlowRecord, Observer } from './record.js';
import { encodeTemplated, type Sequence } from './templated.js';

export type ExportProtocol = 'netflow5' | 'netflow9' | 'ipfix';

export interface ExporterOptions {
  readonly protocol: ExportProtocol;
  readonly observer: Observer;
  /** Templates are sent again after so long (10 minutes by default) ... */
  readonly templateIntervalMs?: number;
  /** ... or so many datagrams (500), whichever is first. */
  readonly templateDatagrams?: number;
}

export interface ExporterCounters {
  readonly datagrams: number;
  readonly records: number;
  /** Records that the protocol has no form for: IPv6 in NetFlow v5. */
  readonly unsupported: number;
}

export class FlowExporter {
  readonly #options: Required<ExporterOptions>;
  #sequence: Sequence = { sent: 0 };
  #templatesAtMs = -Infinity;
  #datagramsSinceTemplates = 0;
  #counters: ExporterCounters = { datagrams: 0, records: 0, unsupported: 0 };

  constructor(options: ExporterOptions) {
    this.#options = { templateIntervalMs: 600_000, templateDatagrams: 500, ...options };
  }

  get counters(): ExporterCounters {
    return this.#counters;
  }

  /** Templates come with the next records: somebody may not have heard them. */
  renewTemplates(): void {
    this.#templatesAtMs = -Infinity;
  }

  /** The datagrams to send to each collector. None where there is nothing to say. @param nowMs Unix time */
  export(records: readonly FlowRecord[], nowMs: number): readonly Uint8Array[] {
    if (records.length === 0) return [];
    const { protocol, observer } = this.#options;
    let datagrams: readonly Uint8Array[];
    let unsupported = 0;
    if (protocol === 'netflow5') {
      const encoded = encodeNetFlow5(records, observer, this.#sequence.sent, nowMs);
      this.#sequence = { sent: (this.#sequence.sent + encoded.recordCount) >>> 0 };
      ({ datagrams, left: unsupported } = encoded);
    } else {
      const withTemplates = this.#wantsTemplates(nowMs);
      const encoded = encodeTemplated(protocol, records, observer, this.#sequence, nowMs, withTemplates);
      ({ datagrams, sequence: this.#sequence } = encoded);
      if (withTemplates) {
        this.#templatesAtMs = nowMs;
        this.#datagramsSinceTemplates = 0;
      }
      this.#datagramsSinceTemplates += datagrams.length;
    }
    this.#counters = {
      datagrams: this.#counters.datagrams + datagrams.length,
      records: this.#counters.records + records.length - unsupported,
      unsupported: this.#counters.unsupported + unsupported,
    };
    return datagrams;
  }

  #wantsTemplates(nowMs: number): boolean {
    const { templateIntervalMs, templateDatagrams } = this.#options;
    return (
      nowMs - this.#templatesAtMs >= templateIntervalMs || this.#datagramsSinceTemplates >= templateDatagrams
    );
  }
}
