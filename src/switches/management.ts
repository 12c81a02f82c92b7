/**
 * Connections as users have them (`<rundir>/<bridge>.mgmt`), made for one errand. The datapath lets them read
 * everything and change what is users' own; and one that is read slowly holds up nobody else.
 */
import { connect } from 'node-openflow';
import type {
  ErrorMessage,
  FlowStats,
  MessageInput,
  MultipartRequestBodyInput,
  TlsOptions,
} from 'node-openflow';
import type { RefusedMessage } from './driver.js';

const TIMEOUT_MS = 30_000;
/** Of each connection, which has but one bundle. */
const BUNDLE_ID = 1;
const FLAGS = ['ATOMIC', 'ORDERED'] as const;

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
    const errors = new Map<number, ErrorMessage>();
    connection.on('refused', (error) => errors.set(error.xid, error));
    connection.send(bundleControl('OPEN_REQUEST'));
    const xids = messages.map((message) => {
      return connection.send({
        type: 'BUNDLE_ADD_MESSAGE',
        bundleId: BUNDLE_ID,
        flags: FLAGS,
        message,
      } as MessageInput);
    });
    // What the switch cannot even read it refuses here; the rest must then not be done either.
    await connection.barrier({ timeoutMs: TIMEOUT_MS });
    if (errors.size === 0) {
      connection.send(bundleControl('COMMIT_REQUEST'));
      await connection.barrier({ timeoutMs: TIMEOUT_MS });
    }
    return refusals(errors, xids);
  } finally {
    // A bundle that was not committed goes with its connection.
    connection.close();
  }
}

function bundleControl(controlType: 'OPEN_REQUEST' | 'COMMIT_REQUEST'): MessageInput {
  return { type: 'BUNDLE_CONTROL', bundleId: BUNDLE_ID, controlType, flags: FLAGS };
}

/** The errors about single messages; where there are none, those about the bundle, put on the first message. */
function refusals(errors: ReadonlyMap<number, ErrorMessage>, xids: readonly number[]): RefusedMessage[] {
  const refused = (index: number, { errorType, code }: ErrorMessage): RefusedMessage => {
    return { index, errorType: String(errorType), code: String(code) };
  };
  const single = xids.flatMap((xid, index) => {
    const error = errors.get(xid);
    return error ? [refused(index, error)] : [];
  });
  return single.length > 0 ? single : [...errors.values()].map((error) => refused(0, error));
}
