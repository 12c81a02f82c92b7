/** A cursor over a scratch buffer of one message's greatest size. Lengths are written back once they are known. */

import { OpenFlowEncodeError } from './errors.js';

/** The 16-bit length of the header allows no more (OF 1.3.5 §7.1). */
export const MAX_MESSAGE_BYTES = 0xffff;

export class Writer {
  pos = 0;
  readonly bytes = new Uint8Array(MAX_MESSAGE_BYTES + 1);
  readonly view = new DataView(this.bytes.buffer);

  u8(v: number): void {
    if ((v & 0xff) !== v) throw outOfRange(v, 8);
    this.view.setUint8(this.advance(1), v);
  }

  u16(v: number): void {
    if ((v & 0xffff) !== v) throw outOfRange(v, 16);
    this.view.setUint16(this.advance(2), v);
  }

  u32(v: number): void {
    if (v >>> 0 !== v) throw outOfRange(v, 32);
    this.view.setUint32(this.advance(4), v);
  }

  u64(v: bigint): void {
    if (typeof v !== 'bigint' || BigInt.asUintN(64, v) !== v) throw outOfRange(v, 64);
    this.view.setBigUint64(this.advance(8), v);
  }

  copy(v: Uint8Array): void {
    if (!(v instanceof Uint8Array)) throw new OpenFlowEncodeError('expected a Uint8Array');
    this.bytes.set(v, this.advance(v.length));
  }

  zeros(n: number): void {
    const p = this.advance(n);
    this.bytes.fill(0, p, p + n);
  }

  /** Reserves `n` bytes and returns where they start. */
  advance(n: number): number {
    const p = this.pos;
    if (p + n > MAX_MESSAGE_BYTES) throw new OpenFlowEncodeError(`longer than ${MAX_MESSAGE_BYTES} bytes`);
    this.pos = p + n;
    return p;
  }

  /** A copy of what has been written since `start`. */
  take(start: number): Buffer {
    const n = this.pos - start;
    const out = Buffer.allocUnsafe(n);
    out.set(this.bytes.subarray(start, this.pos));
    return out;
  }
}

function outOfRange(v: unknown, bits: number): OpenFlowEncodeError {
  return new OpenFlowEncodeError(`${describe(v)} is not an unsigned ${bits}-bit integer`);
}

/** A value in an error message, cut short. */
export function describe(v: unknown): string {
  const text = typeof v === 'string' ? JSON.stringify(v) : typeof v === 'bigint' ? `${v}n` : String(v);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
