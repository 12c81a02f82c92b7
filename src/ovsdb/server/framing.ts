/**
 * Cuts a stream of bytes into JSON objects (RFC 7047 §4: JSON-RPC texts follow each other with nothing, or white
 * space, between them). Only counts brackets and quotes; what is inside is the parser's to judge.
 */

/** The stream cannot be understood any more; the message says why. */
export class FramingError extends Error {
  override readonly name = 'FramingError';
}

export interface FramingLimits {
  /** Of one object, in bytes. */
  readonly maxBytes: number;
  /** Of brackets within brackets. */
  readonly maxDepth: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export class JsonFramer {
  /** What has come of the object that is not complete yet. */
  #parts: Uint8Array[] = [];
  #length = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  constructor(private readonly limits: FramingLimits) {}

  /**
   * Gives the texts of the objects that `chunk` completes. The chunk must not be changed afterwards.
   * @throws FramingError where something else than an object begins, or one is too long, too deep or not UTF-8
   */
  push(chunk: Uint8Array, take: (text: string) => void): void {
    /** Where the present object begins in this chunk. */
    let start = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] ?? 0;
      if (this.#depth === 0) {
        if (isSpace(byte)) continue;
        if (byte !== OPEN_BRACE) throw new FramingError('something else than a JSON object begins');
        start = i;
        this.#depth = 1;
      } else if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isInString = false;
      } else if (byte === QUOTE) {
        this.#isInString = true;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        this.#depth++;
        if (this.#depth > this.limits.maxDepth) {
          throw new FramingError(`more than ${this.limits.maxDepth} brackets within brackets`);
        }
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        this.#depth--;
        if (this.#depth === 0) {
          take(this.#complete(chunk.subarray(start, i + 1)));
          start = i + 1;
        }
      }
    }
    if (this.#depth > 0) this.#keep(chunk.subarray(start));
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > this.limits.maxBytes) {
      throw new FramingError(`a message is longer than ${this.limits.maxBytes} bytes`);
    }
    this.#parts.push(part);
  }

  #complete(last: Uint8Array): string {
    this.#keep(last);
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new FramingError('a message is not UTF-8');
    }
  }
}
