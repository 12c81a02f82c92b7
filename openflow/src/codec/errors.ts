/** The two errors of the codec: bytes that are not OpenFlow, and values that cannot become bytes. */

import { errorCodes, type ErrorCodeName, type ErrorTypeName } from './error-codes.js';

/** The OFPT_ERROR that answers a malformed message (OF 1.3.5 §7.4.4). */
export interface ErrorAnswer {
  readonly type: 'ERROR';
  readonly xid: number;
  readonly errorType: ErrorTypeName;
  /** A name of `ErrorCode[errorType]`. */
  readonly code: ErrorCodeName;
  /** The first bytes of the offending message: all of it, or 64. */
  readonly data: Uint8Array;
}

/** What kind of error a malformed part is answered with: its type, and the code for a wrong length. */
export type Fault = readonly [errorType: ErrorTypeName, code: ErrorCodeName];

type Segment = string | number;

/** Bytes kept in {@link ErrorAnswer.data}: the least that the specification asks for. */
const QUOTED_BYTES = 64;

/**
 * Bytes that break the specification. The only thing that decoding throws.
 *
 * `path` names the field (`flow_mod.instructions[1].length`), `offset` the byte within the message, `answer` the error
 * message to send back.
 */
export class OpenFlowDecodeError extends Error {
  override readonly name = 'OpenFlowDecodeError';
  readonly #segments: Segment[] = [];
  #fault: Fault | undefined;
  #message: Uint8Array = new Uint8Array(0);

  constructor(
    /** What is wrong, without the place. */
    readonly reason: string,
    /** Offset of the offending byte from the start of what was decoded. */
    readonly offset: number,
    fault?: Fault,
  ) {
    super(reason);
    this.#fault = fault;
  }

  /** The field at fault, from the message down. */
  get path(): string {
    return joinPath(this.#segments);
  }

  /** Error type of the answer. */
  get errorType(): ErrorTypeName {
    return this.#fault?.[0] ?? 'BAD_REQUEST';
  }

  /** Error code of the answer. */
  get code(): ErrorCodeName {
    return this.#fault?.[1] ?? 'BAD_LEN';
  }

  /** Numeric error type and code, as on the wire. */
  get wire(): { readonly errorType: number; readonly code: number } {
    const { value, codes } = errorCodes[this.errorType];
    return { errorType: value, code: (codes as Readonly<Record<string, number>>)[this.code] ?? 0 };
  }

  /** The OFPT_ERROR to answer with. Its xid is the offending message's, 0 if there was none. */
  get answer(): ErrorAnswer {
    const m = this.#message;
    const xid = m.length >= 8 ? new DataView(m.buffer, m.byteOffset + 4, 4).getUint32(0) : 0;
    return {
      type: 'ERROR',
      xid,
      errorType: this.errorType,
      code: this.code,
      data: m.subarray(0, QUOTED_BYTES),
    };
  }

  /** Called while unwinding: one step outwards; `fault` counts if nothing further in said what to answer. @internal */
  within(segment: Segment | undefined, fault?: Fault): this {
    if (segment !== undefined) this.#segments.unshift(segment);
    this.#fault ??= fault;
    return this;
  }

  /** Called at the outermost layer, which knows the message. @internal */
  settle(message: Uint8Array): this {
    this.#message = message;
    this.message = `${this.path || 'message'} @${this.offset}: ${this.reason}`;
    return this;
  }
}

/** A value that has no encoding: out of range, unknown name, missing field, longer than a message may be. */
export class OpenFlowEncodeError extends Error {
  override readonly name = 'OpenFlowEncodeError';
  readonly #segments: Segment[] = [];

  constructor(readonly reason: string) {
    super(reason);
  }

  /** The field at fault, from the message down. */
  get path(): string {
    return joinPath(this.#segments);
  }

  /** @internal */
  within(segment: Segment): this {
    this.#segments.unshift(segment);
    this.message = `${this.path}: ${this.reason}`;
    return this;
  }
}

function joinPath(segments: readonly Segment[]): string {
  let path = '';
  for (const segment of segments) {
    if (typeof segment === 'number') path += `[${segment}]`;
    else path += path === '' ? segment : `.${segment}`;
  }
  return path;
}
