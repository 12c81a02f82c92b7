/** /v1/events: what happens, as server-sent events (WHATWG HTML §9.2) that can be resumed. */
import { Type } from 'typebox';
import { EVENT_KINDS } from '../../observe/index.js';
import type { Event, EventHub, EventKind } from '../../observe/index.js';
import { EventStreams, type EventStream } from '../event-streams.js';
import { EventFrame } from '../observe-schemas.js';
import type { App } from '../plugin.js';
import { InterfaceName, Problem } from '../schemas.js';
import type { Services } from '../services.js';

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
  const streams = new EventStreams(app);

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
      streams.check();
      const { bridge, kind, lastEventId, follow: isFollowed = true } = request.query;
      const after = request.headers['last-event-id'] ?? lastEventId ?? null;
      reply.hijack();
      const filter = {
        ...(bridge === undefined ? {} : { bridge }),
        ...(kind === undefined ? {} : { kinds: new Set(kind.split(',') as EventKind[]) }),
      };
      let end = () => {};
      const stream = streams.open(reply.raw, () => end());
      end = follow(events, filter, after, stream);
      if (!isFollowed) stream.end();
    },
  );
}

function follow(
  events: EventHub,
  filter: Parameters<EventHub['subscribe']>[0],
  after: string | null,
  stream: EventStream,
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
