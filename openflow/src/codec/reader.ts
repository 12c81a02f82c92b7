/** A bounded cursor over bytes. Every read is checked against `end`, so nested structures cannot read past theirs. */

import { OpenFlowDecodeError, type Fault } from './errors.js';

// One DataView serves every message of a chunk: making one costs more than decoding a small message.
let cachedView: DataView = new DataView(new ArrayBuffer(0));

function viewOf(bytes: Uint8Array): DataView {
  if (cachedView.buffer !== bytes.buffer) cachedView = new DataView(bytes.buffer);
  return cachedView;
}

export class Reader {
  /** Positions are offsets in the underlying ArrayBuffer; errors report them relative to `base`. */
  pos: number;
  end: number;
  /** How deeply structures that may hold themselves are nested here. */
  depth = 0;
  readonly base: number;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.view = viewOf(bytes);
    this.base = bytes.byteOffset;
    this.pos = bytes.byteOffset;
    this.end = bytes.byteOffset + bytes.length;
  }

  u8(): number {
    const p = this.pos;
    if (p + 1 > this.end) throw this.short(1);
    this.pos = p + 1;
    return this.view.getUint8(p);
  }

  u16(): number {
    const p = this.pos;
    if (p + 2 > this.end) throw this.short(2);
    this.pos = p + 2;
    return this.view.getUint16(p);
  }

  u32(): number {
    const p = this.pos;
    if (p + 4 > this.end) throw this.short(4);
    this.pos = p + 4;
    return this.view.getUint32(p);
  }

  u64(): bigint {
    const p = this.pos;
    if (p + 8 > this.end) throw this.short(8);
    this.pos = p + 8;
    return this.view.getBigUint64(p);
  }

  /** A view of the next `n` bytes, not a copy. */
  bytes(n: number): Uint8Array {
    const p = this.pos;
    if (p + n > this.end) throw this.short(n);
    this.pos = p + n;
    return new Uint8Array(this.view.buffer as ArrayBuffer, p, n);
  }

  skip(n: number): void {
    if (this.pos + n > this.end) throw this.short(n);
    this.pos += n;
  }

  /** Looks ahead (or back) without moving: the number of `size` bytes `ahead` bytes on, or -1 outside of the bounds. */
  peek(size: 1 | 2 | 4, ahead: number): number {
    const p = this.pos + ahead;
    if (p + size > this.end || p < this.base) return -1;
    return size === 1 ? this.view.getUint8(p) : size === 2 ? this.view.getUint16(p) : this.view.getUint32(p);
  }

  /** Narrows the bound to the `length` bytes from `start`; the caller restores the old one. */
  bound(start: number, length: number, fault?: Fault): void {
    if (start + length > this.end) {
      throw this.fail(`length ${length} exceeds the ${this.end - start} bytes there are`, fault, -2);
    }
    if (start + length < this.pos) throw this.fail(`length ${length} is too small`, fault, -2);
    this.end = start + length;
  }

  /** Everything up to the bound must have been consumed. */
  finish(): void {
    if (this.pos !== this.end) throw this.fail(`${this.end - this.pos} bytes left over`);
  }

  /** A decode error here, or `shift` bytes from here. */
  fail(reason: string, fault?: Fault, shift = 0): OpenFlowDecodeError {
    return new OpenFlowDecodeError(reason, this.pos + shift - this.base, fault);
  }

  private short(n: number): OpenFlowDecodeError {
    return this.fail(`needs ${n} bytes, has ${this.end - this.pos}`);
  }
}
