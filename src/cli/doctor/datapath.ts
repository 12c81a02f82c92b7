/** One question to weft-datapath's control socket (ARCHITECTURE.md, "Control channel"), for when weftd is not there. */
import { connect } from 'node:net';

const TIMEOUT_MS = 3_000;

/** @throws Error where it does not answer, or refuses */
export function askDatapath(socketPath: string, method: string, params: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, timeout: TIMEOUT_MS });
    let text = '';
    const end = (act: () => void) => {
      socket.destroy();
      act();
    };
    socket.once('timeout', () => end(() => reject(new Error('no answer'))));
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('close', () => reject(new Error('closed')));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const line = /^(.*)\n/.exec(text)?.[1];
      if (line === undefined) return;
      end(() => {
        try {
          const { result, error } = JSON.parse(line) as { result?: unknown; error?: { message: string } };
          if (error) reject(new Error(error.message));
          else resolve(result);
        } catch (fault) {
          reject(fault instanceof Error ? fault : new Error(String(fault)));
        }
      });
    });
    socket.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })}\n`);
  });
}
