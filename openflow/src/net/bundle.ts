/** Messages that take effect together, or not at all (ONF EXT-230). */
import type { ErrorMessage, MessageInput } from '../messages/index.js';
import type { CommitError, Connection } from './connection.js';

/** Of each connection, which has but one bundle at a time. */
const BUNDLE_ID = 1;
const FLAGS = ['ATOMIC', 'ORDERED'] as const;

/**
 * Sends the messages as one bundle: the switch does all of them, in order, or none.
 * @returns what it refused, and then nothing is done; empty: it did them all. An error about the bundle as a whole has the
 *   index of the first message.
 * @throws RequestError where the switch does not answer, or the connection is lost
 */
export async function commitBundle(
  connection: Connection,
  messages: readonly MessageInput[],
  options: { timeoutMs?: number } = {},
): Promise<CommitError[]> {
  if (messages.length === 0) return [];
  const errors = new Map<number, ErrorMessage>();
  const heard = (error: ErrorMessage) => void errors.set(error.xid, error);
  connection.on('refused', heard);
  try {
    connection.send(control('OPEN_REQUEST'));
    const xids = messages.map((message) => {
      const added = { type: 'BUNDLE_ADD_MESSAGE', bundleId: BUNDLE_ID, flags: FLAGS, message };
      return connection.send(added as MessageInput);
    });
    // What the switch cannot even read it refuses here; the rest must then not be done either.
    await connection.barrier(options);
    connection.send(control(errors.size === 0 ? 'COMMIT_REQUEST' : 'DISCARD_REQUEST'));
    await connection.barrier(options);
    const single = xids.flatMap((xid, index) => {
      const error = errors.get(xid);
      return error ? [{ index, error }] : [];
    });
    return single.length > 0 ? single : [...errors.values()].map((error) => ({ index: 0, error }));
  } finally {
    connection.off('refused', heard);
  }
}

function control(controlType: 'OPEN_REQUEST' | 'COMMIT_REQUEST' | 'DISCARD_REQUEST'): MessageInput {
  return { type: 'BUNDLE_CONTROL', bundleId: BUNDLE_ID, controlType, flags: FLAGS };
}
