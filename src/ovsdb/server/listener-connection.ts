/** One client's socket and its session. A shell. */
import type { Socket } from 'node:net';
import type { OvsdbServer } from './server.js';

/** What a client may leave untaken before it is given time (bytes). */
const CONGESTED_BYTES = 1 << 20;
const KEEPALIVE_MS = 30_000;
const FAREWELL_MS = 10_000;
const PROBE = `{"id":"echo","method":"echo","params":[]}`;

export interface ConnectionOptions {
  /** For the log. */
  readonly name: string;
  readonly isNetwork: boolean;
  /** After so long a silence the client is asked for a sign of life, after twice it is given up. 0: never. */
  readonly probeMs?: number;
}

/** Lets a session have the socket, until either ends. */
export function serveSocket(server: OvsdbServer, socket: Socket, options: ConnectionOptions): void {
  const { name, isNetwork, probeMs = 0 } = options;
  if (isNetwork) socket.setKeepAlive(true, KEEPALIVE_MS).setNoDelay(true);
  const session = server.connect({
    name,
    get isCongested() {
      return socket.writableLength > CONGESTED_BYTES;
    },
    send: (text) => {
      if (socket.writable) socket.write(text);
    },
    end: () => {
      socket.removeAllListeners('data');
      // Whoever does not even take the rest is cut off.
      socket.setTimeout(FAREWELL_MS, () => socket.destroy());
      socket.end();
      socket.resume();
    },
  });
  let isSilent = false;
  const probing =
    probeMs === 0
      ? undefined
      : setInterval(() => {
          // A client that is not read from, as it is behind, cannot answer.
          if (isSilent && !socket.isPaused()) socket.destroy(new Error('no answer to a probe'));
          else if (socket.writable && !isSilent) socket.write(PROBE);
          isSilent = true;
        }, probeMs);
  socket.on('data', (chunk) => {
    isSilent = false;
    session.receive(chunk);
    if (session.isBehind) socket.pause();
  });
  socket.on('drain', () => {
    session.drained();
    if (!session.isBehind) socket.resume();
  });
  socket.on('error', (error) => server.log.warn({ client: name }, `${name}: ${error.message}`));
  socket.on('close', () => {
    clearInterval(probing);
    session.ended();
  });
}
