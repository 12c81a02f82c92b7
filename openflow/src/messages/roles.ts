/** Controller roles (OF 1.3.5 §7.3.9) and asynchronous configuration (§7.3.10). */

import { array } from '../codec/collections.js';
import { withDefault } from '../codec/codec.js';
import { flags, pad, u64 } from '../codec/numbers.js';
import { ControllerRole } from './constants.js';
import { message } from './header.js';

const role = { role: ControllerRole, _pad: pad(4), generationId: withDefault(u64, 0n) };

export const [, RoleRequest] = message(
  'ROLE_REQUEST',
  24,
  '7.3.9',
  'Asks for a role; NOCHANGE asks which one it is.',
  role,
);
export const [, RoleReply] = message('ROLE_REPLY', 25, '7.3.9', 'The role there is now.', role);

const PacketInMask = flags('PacketInMask', 32, { NO_MATCH: 1, ACTION: 2, INVALID_TTL: 4 });
const PortStatusMask = flags('PortStatusMask', 32, { ADD: 1, DELETE: 2, MODIFY: 4 });
const FlowRemovedMask = flags('FlowRemovedMask', 32, {
  IDLE_TIMEOUT: 1,
  HARD_TIMEOUT: 2,
  DELETE: 4,
  GROUP_DELETE: 8,
  METER_DELETE: 16,
  EVICTION: 32,
});
const masks = {
  packetInMask: array(2, PacketInMask),
  portStatusMask: array(2, PortStatusMask),
  flowRemovedMask: array(2, FlowRemovedMask),
};

export const [, GetAsyncRequest] = message(
  'GET_ASYNC_REQUEST',
  26,
  '7.3.10',
  'Asks which messages are sent.',
  {},
);
export const [, GetAsyncReply] = message(
  'GET_ASYNC_REPLY',
  27,
  '7.3.10',
  'Which asynchronous messages are sent: item 0 as master or equal, item 1 as slave.',
  masks,
);
export const [, SetAsync] = message(
  'SET_ASYNC',
  28,
  '7.3.10',
  'Chooses the asynchronous messages: item 0 as master or equal, item 1 as slave.',
  masks,
);
