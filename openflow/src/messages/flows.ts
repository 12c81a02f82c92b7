/** Flow and table modification, flow removed (OF 1.3.5 §7.3.4.1, §7.3.3, §7.4.2). */

import { withDefault } from '../codec/codec.js';
import { enumeration, pad, u16, u32, u64, u8 } from '../codec/numbers.js';
import { Match } from '../oxm/match.js';
import { FlowModFlags, FlowRemovedReason, Group, NO_BUFFER, Port, TableConfig } from './constants.js';
import { message } from './header.js';
import { Instructions } from './instructions.js';

export const FlowModCommand = enumeration('FlowModCommand', 8, {
  ADD: 0,
  MODIFY: 1,
  MODIFY_STRICT: 2,
  DELETE: 3,
  DELETE_STRICT: 4,
});

export const [, FlowMod] = message('FLOW_MOD', 14, '7.3.4.1', 'Adds, changes or deletes flow entries.', {
  cookie: withDefault(u64, 0n),
  cookieMask: withDefault(u64, 0n),
  tableId: withDefault(u8, 0),
  command: FlowModCommand,
  idleTimeout: withDefault(u16, 0),
  hardTimeout: withDefault(u16, 0),
  priority: withDefault(u16, 0x8000),
  bufferId: withDefault(u32, NO_BUFFER),
  outPort: withDefault(u32, Port.ANY),
  outGroup: withDefault(u32, Group.ANY),
  flags: withDefault(FlowModFlags, []),
  _pad: pad(2),
  match: withDefault(Match, {}),
  instructions: withDefault(Instructions, []),
});

export const [, FlowRemoved] = message(
  'FLOW_REMOVED',
  11,
  '7.4.2',
  'A flow entry with SEND_FLOW_REM is gone.',
  {
    cookie: withDefault(u64, 0n),
    priority: u16,
    reason: FlowRemovedReason,
    tableId: u8,
    durationSec: withDefault(u32, 0),
    durationNsec: withDefault(u32, 0),
    idleTimeout: withDefault(u16, 0),
    hardTimeout: withDefault(u16, 0),
    packetCount: withDefault(u64, 0n),
    byteCount: withDefault(u64, 0n),
    match: withDefault(Match, {}),
  },
);

export const [, TableMod] = message(
  'TABLE_MOD',
  17,
  '7.3.3',
  'Configures a table; OF 1.3 defines no bits for it.',
  {
    tableId: u8,
    _pad: pad(3),
    config: withDefault(TableConfig, []),
  },
);
