/** Sockets: the only part of the library that touches them. */
export { commitBundle } from './bundle.js';
export { Connection, RequestError, type CommitError, type ConnectionEvents } from './connection.js';
export { Client, connect, keepConnected, type ClientEvents } from './connect.js';
export { Listener, listen, type ListenerEvents } from './listen.js';
export type { ConnectionOptions, TlsOptions } from './options.js';
export {
  OPENFLOW_PORT,
  TargetError,
  formatTarget,
  parseActiveTarget,
  parsePassiveTarget,
  parseTarget,
  type ActiveTarget,
  type PassiveTarget,
  type Target,
} from './target.js';
