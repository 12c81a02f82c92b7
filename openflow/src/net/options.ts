/** Options common to both directions. */

import type { SessionConfig } from '../session/events.js';

/** PEM texts, as Node's `tls` takes them; Open vSwitch's `--private-key`, `--certificate`, `--ca-cert`. */
export interface TlsOptions {
  key?: string | Buffer;
  cert?: string | Buffer;
  ca?: string | Buffer;
  /** Whether the other end must show a certificate that `ca` vouches for. Default true. */
  verifyPeer?: boolean;
  /** The name to look for in the server's certificate. Default: not looked for, as in Open vSwitch, which trusts the CA. */
  serverName?: string;
}

export interface ConnectionOptions {
  /** Timeouts, caps, water marks, and which side we are (default: controller). */
  session?: Partial<SessionConfig>;
  /** For `ssl:` and `pssl:` targets. */
  tls?: TlsOptions;
}
