/** Server-sent events (WHATWG HTML §9.2): streams that both ends see break off, and that nobody fills without reading. */
import type { ServerResponse } from 'node:http';
import type { App } from './plugin.js';
import { ProblemError } from './problems.js';

/** A comment goes out so often, that both ends notice when the other is gone. */
const HEARTBEAT_MS = 15_000;
/** A client that has so much unread is let go: it comes back and resumes. */
const MAX_UNREAD_BYTES = 1 << 20;
/** Clients at once. */
const MAX_STREAMS = 128;

/** The streams of one route; they end with the server. */
export class EventStreams {
  readonly #streams = new Set<EventStream>();

  constructor(app: App) {
    const heartbeat = setInterval(() => {
      for (const stream of this.#streams) stream.write(': alive\n\n');
    }, HEARTBEAT_MS);
    heartbeat.unref();
    app.addHook('preClose', (done) => {
      clearInterval(heartbeat);
      for (const stream of this.#streams) stream.end();
      done();
    });
  }

  /** @throws ProblemError 503 where there are too many: to be asked before the reply is taken over */
  check(): void {
    if (this.#streams.size >= MAX_STREAMS)
      throw new ProblemError(503, 'too-many', 'Too many streams', `there are ${MAX_STREAMS} already`);
  }

  /** Begins a stream. @param closed is called once it has ended, whoever ended it */
  open(response: ServerResponse, closed: () => void): EventStream {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const stream = new EventStream(response);
    this.#streams.add(stream);
    response.on('close', () => {
      closed();
      this.#streams.delete(stream);
    });
    return stream;
  }
}

/** One client. */
export class EventStream {
  constructor(private readonly response: ServerResponse) {
    response.on('error', () => response.destroy());
  }

  write(text: string): void {
    if (this.response.destroyed || this.response.writableEnded) return;
    this.response.write(text);
    if (this.response.writableLength > MAX_UNREAD_BYTES) this.response.destroy();
  }

  end(): void {
    this.response.end();
  }
}
