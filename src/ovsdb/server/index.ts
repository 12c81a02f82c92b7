/** The network protocol of the database (RFC 7047 §4) as Open vSwitch's tools speak it. Sockets are `listener.ts`'s. */
export { OvsdbServer } from './server.js';
export type { ServerLog, ServerOptions } from './server.js';
export type { Peer, Session, SessionLimits } from './session.js';
export type { Served } from './served.js';
