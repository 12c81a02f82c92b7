/** The header common to all messages (OF 1.3.5 §7.1), as the first fields of each. */

import { withDefault } from '../codec/codec.js';
import { constant, selfLength, u32 } from '../codec/numbers.js';
import { tagged, type Fields } from '../codec/struct.js';
import { VERSION } from './constants.js';

/** Bytes of the header. */
export const HEADER_BYTES = 8;

/** Declares a message: header, then its fields. */
export function message<const T extends string, const F extends Fields>(
  type: T,
  code: number,
  clause: string,
  doc: string,
  fields: F,
) {
  const all = {
    _version: constant(8, VERSION, ['BAD_REQUEST', 'BAD_VERSION']),
    _type: constant(8, code, ['BAD_REQUEST', 'BAD_TYPE']),
    _length: selfLength(),
    xid: withDefault(u32, 0),
    ...fields,
  };
  return [code, tagged(type, all, { clause, doc, fault: ['BAD_REQUEST', 'BAD_LEN'] })] as const;
}
