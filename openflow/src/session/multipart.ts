/**
 * Joins the parts of a multipart message (OF 1.3.5 §7.3.5): same xid, flag MORE on all but the last. Bodies that
 * are lists are joined by their `entries`; a body that is a plain record must come in one part.
 *
 * What a peer can make us hold is capped in bytes on the wire and in parts.
 */

import type { MultipartReply, MultipartRequest } from './wire.js';

export type MultipartMessage = MultipartRequest | MultipartReply;

export interface MultipartLimits {
  /** Bytes of all parts together, as they came over the wire. */
  maxBytes: number;
  maxParts: number;
}

export type JoinResult<M> =
  /** More parts must follow. */
  | { readonly kind: 'more' }
  | { readonly kind: 'whole'; readonly message: M }
  | { readonly kind: 'overflow'; readonly reason: string }
  | { readonly kind: 'mismatch'; readonly reason: string };

/** The parts of one multipart message so far. */
export class MultipartJoin<M extends MultipartMessage> {
  #first: M | undefined;
  #entries: unknown[] = [];
  #bytes = 0;
  #parts = 0;

  constructor(private readonly limits: MultipartLimits) {}

  get parts(): number {
    return this.#parts;
  }

  /** Adds a part of `size` bytes. After anything but `more` the join is done with. */
  add(part: M, size: number): JoinResult<M> {
    this.#parts += 1;
    this.#bytes += size;
    if (this.#bytes > this.limits.maxBytes) {
      return { kind: 'overflow', reason: `multipart message of more than ${this.limits.maxBytes} bytes` };
    }
    if (this.#parts > this.limits.maxParts) {
      return { kind: 'overflow', reason: `multipart message of more than ${this.limits.maxParts} parts` };
    }
    const isLast = !hasMore(part);
    if (this.#first === undefined && isLast) return { kind: 'whole', message: part };

    const entries = entriesOf(part.body);
    this.#first ??= part;
    if (part.body.type !== this.#first.body.type) {
      return {
        kind: 'mismatch',
        reason: `a part of type ${part.body.type} among parts of ${this.#first.body.type}`,
      };
    }
    if (entries === undefined) {
      return { kind: 'mismatch', reason: `${part.body.type} in more than one part` };
    }
    for (const entry of entries) this.#entries.push(entry);
    if (!isLast) return { kind: 'more' };
    return { kind: 'whole', message: { ...part, body: { ...part.body, entries: this.#entries } } };
  }
}

/** More parts follow: OFPMPF_REQ_MORE or OFPMPF_REPLY_MORE. */
export function hasMore(part: MultipartMessage): boolean {
  const flags: readonly (string | number)[] = part.flags;
  return flags.includes('REQ_MORE') || flags.includes('REPLY_MORE');
}

/** The list a body carries, or undefined when it is a plain record. */
export function entriesOf(body: object): readonly unknown[] | undefined {
  const entries: unknown = 'entries' in body ? body.entries : undefined;
  return Array.isArray(entries) ? entries : undefined;
}
