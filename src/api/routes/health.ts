/** /readyz: whether the switch does what its configuration says. */
import { answer } from '../answers.js';
import { ReadyView } from '../observe-schemas.js';
import type { App } from '../plugin.js';
import type { Services } from '../services.js';

export function readyRoutes(app: App, services: Services): void {
  const { configuration, switches } = services;

  app.get(
    '/readyz',
    {
      schema: {
        tags: ['service'],
        summary:
          '200 while the database can be written, the datapath is connected and every bridge is in sync',
        response: {
          200: answer(ReadyView, { description: 'Ready' }),
          503: answer(ReadyView, { description: 'Not ready; the body says what is not' }),
        },
      },
    },
    (_request, reply) => {
      const { diskError, reading } = configuration;
      const datapath = switches.status();
      const part = (why: string | null) => ({ ready: why === null, why });
      const bridges = reading.network.bridges.map(({ name }) => {
        const status = switches.driver(name)?.status();
        const why = status?.inSync
          ? null
          : (status?.lastError ??
            (status?.connected ? 'its flows are being brought up to date' : 'not connected'));
        return { bridge: name, ...part(why) };
      });
      const parts = {
        database: part(diskError),
        datapath: part(datapath.connected ? null : (datapath.lastError ?? 'not connected')),
        bridges,
      };
      const ready = parts.database.ready && parts.datapath.ready && bridges.every((bridge) => bridge.ready);
      reply.code(ready ? 200 : 503);
      return { ready, ...parts };
    },
  );
}
