/** /metrics: for Prometheus. */
import { Type } from 'typebox';
import { Metrics } from '../../observe/metrics.js';
import type { App } from '../plugin.js';
import type { Services } from '../services.js';

export function metricsRoutes(app: App, services: Services): void {
  const { configuration, switches, sampler, events, version } = services;
  const metrics = new Metrics({
    version,
    datapath: () => {
      const { connected, version: datapath } = switches.status();
      return { connected, version: datapath?.version ?? null };
    },
    isDatabaseWritable: () => configuration.diskError === null,
    bridges: () =>
      configuration.reading.network.bridges.map(({ name }) => ({
        name,
        status: switches.driver(name)?.status(),
        sample: sampler.known(name)?.newest,
      })),
    ovsdb: () => services.ovsdb?.() ?? { sessions: 0, transactions: 0 },
    eventStreams: () => events.listeners,
    exports: (bridge) => services.exporting.status(bridge),
  });
  app.addHook('onResponse', async ({ method, is404 }, { statusCode }) => {
    // Methods are whatever clients make up, where there is no route.
    if (!is404) metrics.answered(method, statusCode);
  });

  app.get(
    '/metrics',
    {
      schema: {
        tags: ['service'],
        summary: 'Metrics in Prometheus’ text format',
        response: {
          200: {
            description: 'The metrics',
            content: { 'text/plain': { schema: Type.String() } },
          },
        },
      },
    },
    async (_request, reply) => {
      const { bridges } = configuration.reading.network;
      const ours = bridges.filter(({ connection }) => connection.kind === 'weft');
      // Without a datapath, the rest is still worth telling.
      await Promise.all(ours.map(({ name }) => sampler.window(name).catch(() => undefined)));
      return reply
        .type(metrics.contentType)
        .serializer(String)
        .send(await metrics.text());
    },
  );
}
