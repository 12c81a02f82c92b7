/**
 * One client of the control socket: JSON-RPC 1.0 requests `{"id", "method", "params": [words]}` in, one answer each, in
 * order. Without sockets: bytes in, text out.
 */
import { isObject } from '../ovsdb/index.js';
import type { Json } from '../ovsdb/index.js';
import { FramingError, JsonFramer } from '../ovsdb/server/framing.js';
import { MessageError, encodeError, encodeResult, parseMessage } from '../ovsdb/server/message.js';
import type { Call } from '../ovsdb/server/message.js';
import { CommandError } from './command.js';
import type { CommandTable } from './command.js';

/** A command's words are few; a packet to trace, in hex, is the longest. */
const LIMITS = { maxBytes: 1 << 20, maxDepth: 16 };
/** Requests that a client may send without waiting for answers. */
const MAX_WAITING = 100;

export interface Peer {
  send(text: string): void;
  /** The client does not speak the protocol. */
  refuse(because: string): void;
  /** A command has failed in a way that is not the client's fault. */
  fault(error: unknown, command: string): void;
}

export class Session {
  readonly #framer = new JsonFramer(LIMITS);
  readonly #waiting: Call[] = [];
  #isWorking = false;
  #isEnded = false;

  constructor(
    private readonly commands: CommandTable,
    private readonly peer: Peer,
  ) {}

  receive(chunk: Uint8Array): void {
    if (this.#isEnded) return;
    try {
      this.#framer.push(chunk, (text) => this.#take(text));
    } catch (error) {
      if (!(error instanceof FramingError || error instanceof MessageError)) throw error;
      this.#isEnded = true;
      this.peer.refuse(error.message);
    }
  }

  ended(): void {
    this.#isEnded = true;
  }

  #take(text: string): void {
    const message = parseMessage(text);
    if (message.kind !== 'call' || message.id === null) return;
    if (this.#waiting.length >= MAX_WAITING) throw new MessageError('too many requests at once');
    this.#waiting.push(message);
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    for (let call = this.#waiting.shift(); call && !this.#isEnded; call = this.#waiting.shift()) {
      const answer = await this.#answer(call);
      if (!this.#isEnded) this.peer.send(answer);
    }
    this.#isWorking = false;
  }

  async #answer({ id, method, params }: Call): Promise<string> {
    try {
      return encodeResult(id, lines(await this.commands.run(method, words(params))));
    } catch (error) {
      if (error instanceof CommandError) return encodeError(id, lines(error.message));
      this.peer.fault(error, method);
      return encodeError(id, lines(`internal error: ${(error as Error).message}`));
    }
  }
}

function words(params: readonly Json[]): string[] {
  return params.map((word) => {
    if (typeof word === 'string') return word;
    throw new CommandError(`arguments must be strings, not ${isObject(word) ? 'objects' : typeof word}`);
  });
}

/** A text ends with a line's end unless it is empty. */
function lines(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
