/** /v1/events: what happens, as server-sent events (WHATWG HTML §9.2) that can be resumed. */
import type { ServerResponse } from 'node:http';
import { Type } from 'typebox';
import { EVENT_KINDS } from '../../observe/index.js';
import type { Event, EventHub, EventKind } from '../../observe/index.js';
import { EventFrame } from '../observe-schemas.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import { InterfaceName, Problem } from '../schemas.js';
import type { Services } from '../services.js';

/** A comment goes out so often, that both ends notice when the other is gone. */
const HEARTBEAT_MS = 15_000;
/** A client that has so much unread is let go: it comes back and resumes. */
const MAX_UNREAD_BYTES = 1 << 20;
/** Clients at once. */
const MAX_STREAMS = 128;
/** What a client waits for before it comes back. */
const RETRY_MS = 1_000;

const Query = Type.Object(
  {
    bridge: Type.Optional(
      Type.Unsafe<string>({ ...InterfaceName, description: 'Only events of this bridge, and of none' }),
    ),
    kind: Type.Optional(
      Type.String({
        pattern: `^(${EVENT_KINDS.join('|')})(,(${EVENT_KINDS.join('|')}))*$`,
        description: 'Only events of these kinds, separated by commas',
        examples: ['learn,move'],
      }),
    ),
    lastEventId: Type.Optional(
      Type.String({ maxLength: 64, description: 'In place of the header Last-Event-ID' }),
    ),
    follow: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'false: what there is after Last-Event-ID, and then the stream ends',
      }),
    ),
  },
  { additionalProperties: false },
);

export function eventRoutes(app: App, { events }: Services): void {
  const streams = new Set<Stream>();
  const heartbeat = setInterval(() => {
    for (const stream of streams) stream.write(': alive\n\n');
  }, HEARTBEAT_MS);
  heartbeat.unref();
  app.addHook('preClose', (done) => {
    clearInterval(heartbeat);
    for (const stream of streams) stream.end();
    done();
  });

  app.get(
    '/v1/events',
    {
      schema: {
        tags: ['observe'],
        summary:
          'What happens, as server-sent events: the kind is the event’s name, the data an EventView. ' +
          'With Last-Event-ID the stream goes on where it was; an event `gap` says that some are gone',
        querystring: Query,
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 64 })) }),
        response: {
          200: {
            description: 'A stream without end, unless `follow` is false',
            content: { 'text/event-stream': { schema: EventFrame } },
          },
          503: Problem,
        },
      },
    },
    (request, reply) => {
      if (streams.size >= MAX_STREAMS) {
        throw new ProblemError(503, 'too-many', 'Too many streams', `there are ${MAX_STREAMS} already`);
      }
      const { bridge, kind, lastEventId, follow: isFollowed = true } = request.query;
      const after = request.headers['last-event-id'] ?? lastEventId ?? null;
      reply.hijack();
      reply.raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      const stream = new Stream(reply.raw);
      streams.add(stream);
      const filter = {
        ...(bridge === undefined ? {} : { bridge }),
        ...(kind === undefined ? {} : { kinds: new Set(kind.split(',') as EventKind[]) }),
      };
      const end = follow(events, filter, after, stream);
      reply.raw.on('close', () => {
        end();
        streams.delete(stream);
      });
      if (!isFollowed) stream.end();
    },
  );
}

function follow(
  events: EventHub,
  filter: Parameters<EventHub['subscribe']>[0],
  after: string | null,
  stream: Stream,
): () => void {
  const { missed, hasGap, startId, end } = events.subscribe(filter, after, (event) =>
    stream.write(format(event)),
  );
  stream.write(`retry: ${RETRY_MS}\n`);
  // A client that has heard nothing yet can resume from here, too.
  stream.write(`id: ${startId}\n\n`);
  if (hasGap) {
    const data = { kind: 'gap', at: new Date().toISOString(), bridge: null, data: {} };
    stream.write(`event: gap\ndata: ${JSON.stringify(data)}\n\n`);
  }
  for (const event of missed) stream.write(format(event));
  return end;
}

function format({ id, kind, at, bridge, data }: Event): string {
  return `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify({ kind, at, bridge, data })}\n\n`;
}

/** One client. */
class Stream {
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
