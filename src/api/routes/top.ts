/** /v1/bridges/{name}/top: the busiest flows and addresses as they are. */
import { answer } from '../answers.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import { BridgeParams, Problem, TopQuery, TopView } from '../schemas.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

export function topRoutes(app: App, services: Services): void {
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
    ({ params, query }): TopView => {
      const { name } = bridgeOf(services, params.name);
      const found = services.exporting.busiest(name, query.limit ?? 20);
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
    },
  );
}
