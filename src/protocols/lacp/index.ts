/** LACP (IEEE 802.1AX-2014 clause 6). */
export * from './entity.js';
export { LACP_STATE_BITS, SLOW_PROTOCOLS_ADDRESS, SLOW_PROTOCOLS_ETHERTYPE, lacpStateByte } from './pdu.js';
export type * from './status.js';
