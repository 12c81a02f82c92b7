/** Packets to and from the controller (OF 1.3.5 §7.4.1, §7.3.7). */

import { withDefault } from '../codec/codec.js';
import { lengthOf, pad, u16, u32, u64, u8 } from '../codec/numbers.js';
import { bytes } from '../codec/text.js';
import { Match } from '../oxm/match.js';
import { Actions } from './actions.js';
import { NO_BUFFER, PacketInReason, Port } from './constants.js';
import { message } from './header.js';

const noData = new Uint8Array(0);

export const [, PacketIn] = message(
  'PACKET_IN',
  10,
  '7.4.1',
  'A packet for the controller. `match` holds what is known beside the packet: in_port, metadata, tunnel_id, registers.',
  {
    bufferId: withDefault(u32, NO_BUFFER),
    totalLength: u16,
    reason: PacketInReason,
    tableId: withDefault(u8, 0),
    cookie: withDefault(u64, 0xffff_ffff_ffff_ffffn),
    match: withDefault(Match, {}),
    _pad: pad(2),
    data: withDefault(bytes(), noData),
  },
);

export const [, PacketOut] = message(
  'PACKET_OUT',
  13,
  '7.3.7',
  'A packet, or a buffered one, to run actions on.',
  {
    bufferId: withDefault(u32, NO_BUFFER),
    inPort: withDefault(u32, Port.CONTROLLER),
    _actionsLength: lengthOf('actions'),
    _pad: pad(6),
    actions: withDefault(Actions, []),
    data: withDefault(bytes(), noData),
  },
);
