/** Group modification and buckets (OF 1.3.5 §7.3.4.2). */

import { list } from '../codec/collections.js';
import { withDefault } from '../codec/codec.js';
import { enumeration, pad, selfLength, u16, u32 } from '../codec/numbers.js';
import { struct } from '../codec/struct.js';
import { Actions } from './actions.js';
import { Group, GroupType, Port } from './constants.js';
import { message } from './header.js';

/** `struct ofp_bucket`. */
export const Bucket = struct(
  'ofp_bucket',
  {
    _length: selfLength(8),
    weight: withDefault(u16, 0),
    watchPort: withDefault(u32, Port.ANY),
    watchGroup: withDefault(u32, Group.ANY),
    _pad: pad(4),
    actions: withDefault(Actions, []),
  },
  {
    clause: '7.3.4.2',
    doc: 'One action set of a group. `weight` is for SELECT; the watched port or group decides liveness for FF.',
    fault: ['GROUP_MOD_FAILED', 'BAD_BUCKET'],
  },
);

export const GroupModCommand = enumeration('GroupModCommand', 16, { ADD: 0, MODIFY: 1, DELETE: 2 });

export const [, GroupMod] = message('GROUP_MOD', 15, '7.3.4.2', 'Adds, changes or deletes a group.', {
  command: GroupModCommand,
  groupType: withDefault(GroupType, 'ALL'),
  _pad: pad(1),
  groupId: u32,
  buckets: withDefault(list(Bucket), []),
});
