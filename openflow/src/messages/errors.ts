/** Errors (OF 1.3.5 §7.4.4). */

import type { Codec, Names } from '../codec/codec.js';
import { withDefault } from '../codec/codec.js';
import { errorCodes, type ErrorCodeName, type ErrorTypeName } from '../codec/error-codes.js';
import { OpenFlowEncodeError } from '../codec/errors.js';
import { constant, enumeration, selfLength, u16, u32, u8 } from '../codec/numbers.js';
import { tagged } from '../codec/struct.js';
import { bytes } from '../codec/text.js';
import { describe } from '../codec/writer.js';
import { VERSION } from './constants.js';

const typeNumbers = Object.fromEntries(
  Object.entries(errorCodes).map(([name, { value }]) => [name, value]),
) as { readonly [K in ErrorTypeName]: (typeof errorCodes)[K]['value'] };

/** Error types by name. */
export const ErrorType = enumeration('ErrorType', 16, typeNumbers);

const byType = new Map<number, { readonly names: ReadonlyMap<number, string>; readonly numbers: Names }>(
  Object.values(errorCodes).map(({ value, codes }) => [
    value,
    { names: new Map(Object.entries(codes).map(([name, n]) => [n, name])), numbers: codes },
  ]),
);

/** The code, whose names depend on the error type just before it. */
const ErrorCode: Codec<ErrorCodeName | number> = {
  schema: { kind: 'custom', name: 'error_code', doc: 'u16; names by `errorType`, see the table of errors' },
  fixedSize: 2,
  read: (r) => {
    const code = r.u16();
    return (byType.get(r.view.getUint16(r.pos - 4))?.names.get(code) as ErrorCodeName | undefined) ?? code;
  },
  write: (w, v) => {
    const code = typeof v === 'number' ? v : byType.get(w.view.getUint16(w.pos - 2))?.numbers[v];
    if (code === undefined) throw new OpenFlowEncodeError(`${describe(v)} is not a code of this error type`);
    w.u16(code);
  },
  fromJson: (json) => json as ErrorCodeName,
};

// A peer that refuses our version answers in its own, so any version is read.
const header = {
  version: withDefault(u8, VERSION),
  _type: constant(8, 1),
  _length: selfLength(),
  xid: withDefault(u32, 0),
};
const data = withDefault(bytes(), new Uint8Array(0));

/** OFPT_ERROR of a standard type. */
export const ErrorMessage = tagged(
  'ERROR',
  { ...header, errorType: ErrorType, code: ErrorCode, data },
  {
    clause: '7.4.4',
    doc: 'A request failed; `data` begins with at least 64 bytes of it (ASCII text for HELLO_FAILED).',
  },
);

/** OFPT_ERROR of type OFPET_EXPERIMENTER (`ofp_error_experimenter_msg`). */
export const ExperimenterError = tagged(
  'EXPERIMENTER_ERROR',
  { ...header, _errorType: constant(16, 0xffff), experimenterType: u16, experimenter: u32, data },
  { clause: '7.4.4', doc: 'A request failed in an experimenter’s way.' },
);
