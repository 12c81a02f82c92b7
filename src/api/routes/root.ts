/** /healthz, /v1, /openapi.json */
import type { App } from '../plugin.js';
import { HealthView, RootView } from '../schemas.js';
import type { Services } from '../services.js';

const tags = ['service'];

export function rootRoutes(app: App, services: Services): void {
  const { configuration, switches, version } = services;

  app.get(
    '/healthz',
    {
      schema: {
        tags,
        summary:
          '200 while the configuration can be read and written; the body tells of datapath and switches',
        response: { 200: HealthView, 503: HealthView },
      },
    },
    (_request, reply) => {
      const { diskError, reading, store } = configuration;
      const datapath = switches.status();
      const list = reading.network.bridges.map(({ name }) => {
        const status = switches.driver(name)?.status();
        return {
          bridge: name,
          connected: status?.connected ?? false,
          inSync: status?.inSync ?? false,
          lastError: status?.lastError ?? null,
        };
      });
      const isInOrder = datapath.connected && list.every(({ inSync }) => inSync);
      reply.code(diskError === null ? 200 : 503);
      return {
        status:
          diskError !== null ? ('failed' as const) : isInOrder ? ('ok' as const) : ('degraded' as const),
        database: { ok: diskError === null, bytes: store.size, error: diskError },
        datapath: {
          connected: datapath.connected,
          lastError: datapath.lastError,
          pid: datapath.version?.pid ?? null,
          version: datapath.version?.version ?? null,
          forwarding: datapath.version?.forwarding ?? null,
          whyUserSpace: datapath.version?.whyUserSpace ?? null,
        },
        switches: list,
        faults: reading.faults.map(({ table, name, column, message }) => ({ table, name, column, message })),
      };
    },
  );

  app.get('/v1', { schema: { tags, summary: 'What this is', response: { 200: RootView } } }, () => {
    return { name: 'weft', version, openapi: '/openapi.json', docs: '/docs', bridges: '/v1/bridges' };
  });

  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}
