/** Ports (OF 1.3.5 §7.2.1), port modification (§7.3.4.3) and port status (§7.4.3). */

import { withDefault } from '../codec/codec.js';
import { flags, pad, u32 } from '../codec/numbers.js';
import { struct } from '../codec/struct.js';
import { mac, text } from '../codec/text.js';
import { PortReason } from './constants.js';
import { message } from './header.js';

export const PortConfig = flags('PortConfig', 32, { PORT_DOWN: 1, NO_RECV: 4, NO_FWD: 32, NO_PACKET_IN: 64 });
export const PortState = flags('PortState', 32, { LINK_DOWN: 1, BLOCKED: 2, LIVE: 4 });
export const PortFeatures = flags('PortFeatures', 32, {
  '10MB_HD': 1,
  '10MB_FD': 2,
  '100MB_HD': 4,
  '100MB_FD': 8,
  '1GB_HD': 16,
  '1GB_FD': 32,
  '10GB_FD': 64,
  '40GB_FD': 128,
  '100GB_FD': 256,
  '1TB_FD': 512,
  OTHER: 1024,
  COPPER: 2048,
  FIBER: 4096,
  AUTONEG: 8192,
  PAUSE: 16384,
  PAUSE_ASYM: 32768,
});
const features = withDefault(PortFeatures, []);

/** `struct ofp_port`. */
export const PortDesc = struct(
  'ofp_port',
  {
    portNo: u32,
    _pad: pad(4),
    hwAddr: mac,
    _pad2: pad(2),
    name: text(16),
    config: withDefault(PortConfig, []),
    state: withDefault(PortState, []),
    curr: features,
    advertised: features,
    supported: features,
    peer: features,
    currSpeed: withDefault(u32, 0),
    maxSpeed: withDefault(u32, 0),
  },
  { clause: '7.2.1', doc: 'A port. Speeds are in kbit/s.' },
);

export const [, PortStatus] = message('PORT_STATUS', 12, '7.4.3', 'A port came, went or changed.', {
  reason: PortReason,
  _pad: pad(7),
  desc: PortDesc,
});

export const [, PortMod] = message(
  'PORT_MOD',
  16,
  '7.3.4.3',
  'Changes the configuration bits that `mask` selects.',
  {
    portNo: u32,
    _pad: pad(4),
    hwAddr: mac,
    _pad2: pad(2),
    config: withDefault(PortConfig, []),
    mask: withDefault(PortConfig, []),
    advertise: features,
    _pad3: pad(4),
  },
);
