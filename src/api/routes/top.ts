/** /v1/bridges/{name}/top: the busiest flows and addresses as they are, once or as a stream. */
import { answer } from '../answers.js';
import { EventStreams } from '../event-streams.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import { BridgeParams, Problem, TopFrame, TopQuery, TopStreamQuery, TopView } from '../schemas.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

/** The switch tells what is busy so often. */
const EVERY_MS = 1_000;

export function topRoutes(app: App, services: Services): void {
  const streams = new EventStreams(app);

  app.get(
    '/v1/bridges/:name/top',
    {
      schema: {
        tags: ['observe'],
        operationId: 'getTop',
        summary: 'The busiest flows and senders, by bits, over the last seconds',
        description:
          'Looking has every packet accounted, until nobody has looked for ten seconds; the first answer is empty.',
        params: BridgeParams,
        querystring: TopQuery,
        response: { 200: answer(TopView, { description: 'What is busy' }), 409: Problem },
      },
    },
    ({ params, query }): TopView => look(services, params.name, query.limit),
  );

  app.get(
    '/v1/bridges/:name/top/events',
    {
      schema: {
        tags: ['observe'],
        operationId: 'followTop',
        summary:
          'The same each second, as server-sent events named `top`, until the client leaves or the bridge goes',
        params: BridgeParams,
        querystring: TopStreamQuery,
        response: {
          200: {
            description: 'A stream without end, unless `follow` is false',
            content: { 'text/event-stream': { schema: TopFrame } },
          },
          409: Problem,
          503: Problem,
        },
      },
    },
    ({ params, query }, reply) => {
      streams.check();
      const first = look(services, params.name, query.limit);
      reply.hijack();
      const stream = streams.open(reply.raw, () => clearInterval(timer));
      const tell = (view: TopView) => stream.write(`event: top\ndata: ${JSON.stringify(view)}\n\n`);
      const timer = setInterval(() => {
        try {
          tell(look(services, params.name, query.limit));
        } catch {
          // The bridge, or its switch, is there no more: whoever comes back is told so.
          stream.end();
        }
      }, EVERY_MS);
      tell(first);
      if (query.follow === false) stream.end();
    },
  );
}

function look(services: Services, bridge: string, limit = 20): TopView {
  const { name } = bridgeOf(services, bridge);
  const found = services.exporting.busiest(name, limit);
  if (found === undefined)
    throw new ProblemError(409, 'switch-not-connected', 'No switch', `${name} has no switch yet`);
  const { flows, macs, flowCount, isWarm, refused } = found;
  return {
    bridge: name,
    warm: isWarm,
    refused,
    flowCount,
    flows: flows.map((each) => ({ ...each })),
    macs: macs.map((each) => ({ ...each })),
  };
}
