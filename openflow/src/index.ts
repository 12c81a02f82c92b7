/**
 * node-openflow: OpenFlow 1.3.5 for Node.js.
 *
 * ```ts
 * import { decode, encode, toJson, fromJson, type Message, type FlowMod } from 'node-openflow';
 *
 * const bytes = encode({                       // Buffer; lengths and padding are computed
 *   type: 'FLOW_MOD', xid: 1, command: 'ADD', priority: 100,
 *   match: { in_port: 1, eth_dst: { value: '01:00:00:00:00:00', mask: '01:00:00:00:00:00' } },
 *   instructions: [{ type: 'APPLY_ACTIONS', actions: [{ type: 'OUTPUT', port: 2 }] }],
 * });
 * const message = decode(bytes);               // throws OpenFlowDecodeError, nothing else
 * if (message.type === 'FLOW_MOD') message.cookie; // bigint
 * ```
 *
 * **Shape of values**
 * - A message is `{ type, xid, …fields }`. `type` is the specification's name without `OFPT_`; fields are the specification's
 *   names in camelCase (`len` spelt out: `maxLength`, `missSendLength`, `totalLength`; a field that the specification calls
 *   `type` within a message is `groupType`, `errorType`). Lengths, padding and counts never appear.
 * - `Static<typeof FlowMod>` (also exported as the type `FlowMod`) is what decoding gives: every field present.
 *   `Input<typeof FlowMod>` is what encoding takes: fields with a default may be left out (xid 0, cookies 0n, buffers NO_BUFFER,
 *   ports and groups ANY, timeouts 0, priority 0x8000, match {}, lists [], flags []).
 * - Enumerations are names without prefix (`'ADD'`), or a number where the value has no name. Flags are lists of names
 *   (`['SEND_FLOW_REM']`), unknown bits following as one number.
 * - 64-bit and longer integers are `bigint`. Ports, groups, tables, meters, buffers are numbers, with constants `Port.CONTROLLER`,
 *   `Group.ANY`, `Table.ALL`, `Meter.ALL`, `NO_BUFFER`, `MAX_LENGTH_NO_BUFFER`.
 * - MACs are `'aa:bb:cc:dd:ee:ff'`, IPv4 `'10.0.0.1'`, IPv6 RFC 5952 (`'fe80::1'`). Payloads are `Uint8Array`; decoded ones
 *   are views onto the input, so copy what you keep when you reuse the input buffer.
 * - A match is an ordered record from OXM field names (`in_port`, `eth_dst`, `vlan_vid`, `ipv4_src`, …) to a value or
 *   `{ value, mask }`. `vlan_vid` carries OFPVID_PRESENT (0x1000) as on the wire. Nicira fields: `reg0`…`reg15`, `xreg0`…, `xxreg0`…,
 *   `nxm_…` for class 0/1 twins of standard fields. Unknown fields: `unknown_<class>_<field>`, value in hex.
 * - Actions, instructions and other TLVs are `{ type: 'OUTPUT', … }`; SET_FIELD is `{ type: 'SET_FIELD', field: { vlan_vid: 0x1005 } }`;
 *   Nicira actions are `NX_RESUBMIT_TABLE`, `NX_LEARN`, …. Unknown ones: `{ type: 'unknown', code, raw }`; unknown experimenters:
 *   `{ type: 'EXPERIMENTER', experimenter, data }`. Both survive a round trip.
 * - Multipart: `{ type: 'MULTIPART_REQUEST', xid, flags, body: { type: 'FLOW', …fields } }` and
 *   `{ type: 'MULTIPART_REPLY', xid, flags, body: { type: 'FLOW', entries: [...] } }`: every list in a body is called `entries`, so parts
 *   are joined by concatenating `entries`. (DESC, AGGREGATE, GROUP_FEATURES and METER_FEATURES replies are plain fields.)
 * - Errors: `{ type: 'ERROR', xid, errorType: 'BAD_REQUEST', code: 'BAD_TYPE', data }`.
 * - JSON form (`toJson`/`fromJson`): the same shape, bigints as `"0x…"`, bytes as hex.
 *
 * @packageDocumentation
 */
export {
  decode,
  decodeAs,
  encode,
  encodeAll,
  encodeAs,
  fromJson,
  peekHeader,
  sizeOf,
  type Header,
} from './openflow.js';
export { MessageTemplate } from './template.js';
export type { ByteSink } from './codec/writer.js';
export {
  toJson,
  toJsonText,
  type AnyCodec,
  type Codec,
  type Input,
  type Schema,
  type Static,
} from './codec/codec.js';
export { ipv4, ipv6, mac } from './codec/text.js';
export { OpenFlowDecodeError, OpenFlowEncodeError, type ErrorAnswer, type Fault } from './codec/errors.js';
export { errorCodes, type ErrorCodeName, type ErrorTypeName } from './codec/error-codes.js';
export { WEFT, fieldByName, fieldOfHeader, headerOf, oxmFields } from './oxm/fields.js';
export type { OxmField, OxmFieldName, OxmValue, Prerequisite, StandardFieldName } from './oxm/fields.js';
export { FieldHeader, Match, OxmId, type Masked } from './oxm/match.js';
export { checkMatch, checkSetField, orderMatch, type CheckOptions, type MatchFault } from './oxm/check.js';
export * from './messages/index.js';
export * from './session/index.js';
export * from './net/index.js';
export * from './ofctl/index.js';
