/**
 * Connections as users have them (`<rundir>/<bridge>.mgmt`), made for one errand. The datapath lets them read
 * everything and change what is users' own; and one that is read slowly holds up nobody else.
 */
import { commitBundle, connect } from 'node-openflow';
import type { FlowStats, MessageInput, MultipartRequestBodyInput, TlsOptions } from 'node-openflow';
import type { RefusedMessage } from './driver.js';

const TIMEOUT_MS = 30_000;

/** The parts of a flow dump as they come. The switch is asked for no more than is taken. */
export async function* streamFlowStats(
  target: string,
  request: Extract<MultipartRequestBodyInput, { type: 'FLOW' }>,
  tls?: TlsOptions,
): AsyncGenerator<readonly FlowStats[]> {
  const connection = await connect(target, tls === undefined ? {} : { tls });
  try {
    for await (const { entries } of connection.multipartParts(request, { timeoutMs: TIMEOUT_MS }))
      yield entries;
  } finally {
    connection.close();
  }
}

/**
 * Sends the messages as one bundle (ONF EXT-230): the switch does all of them or none.
 * @returns what it refused; empty: it did them all
 */
export async function changeAsUser(
  target: string,
  messages: readonly MessageInput[],
): Promise<RefusedMessage[]> {
  if (messages.length === 0) return [];
  const connection = await connect(target);
  try {
    const errors = await commitBundle(connection, messages, { timeoutMs: TIMEOUT_MS });
    return errors.map(({ index, error: { errorType, code } }) => {
      return { index, errorType: String(errorType), code: String(code) };
    });
  } finally {
    // A bundle that was not committed goes with its connection.
    connection.close();
  }
}
