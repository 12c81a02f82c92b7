/** /v1/bridges */
import { Type } from 'typebox';
import { addBridge, removeBridge, replaceBridge } from '../../config/index.js';
import type { BridgeSpec } from '../../config/index.js';
import { checkBody } from '../body.js';
import { nameFaults } from '../faults.js';
import type { App } from '../plugin.js';
import { BridgeParams, BridgeSettings, BridgeView, NewBridge, Problem } from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { bridgeOf, viewBridge } from '../views.js';

const tags = ['bridges'];
const pending = {
  description: 'Stored; the switch does not forward so yet, `pending` says why',
  type: 'object',
};

export function bridgeRoutes(app: App, services: Services): void {
  const { configuration } = services;

  app.get(
    '/v1/bridges',
    {
      schema: {
        tags,
        summary: 'All bridges',
        response: { 200: Type.Object({ bridges: Type.Array(BridgeView) }) },
      },
    },
    () => ({ bridges: configuration.reading.network.bridges.map((bridge) => viewBridge(services, bridge)) }),
  );

  app.post(
    '/v1/bridges',
    {
      attachValidation: true,
      schema: {
        tags,
        summary: 'Make a bridge, and its own port: an internal interface of the same name',
        body: NewBridge,
        response: { 201: BridgeView, 202: BridgeView, '4xx': Problem },
      },
    },
    async (request, reply) => {
      checkBody(request, []);
      const { name } = request.body;
      await configuration.apply(
        (database) => addBridge(database, specOf(name, request.body)),
        `api: add bridge ${name}`,
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting === null ? 201 : 202).header('location', `/v1/bridges/${encodeURIComponent(name)}`);
      return viewBridge(services, bridgeOf(services, name), waiting);
    },
  );

  app.get(
    '/v1/bridges/:name',
    {
      schema: {
        tags,
        summary: 'One bridge',
        params: BridgeParams,
        response: { 200: BridgeView, '4xx': Problem },
      },
    },
    (request) => viewBridge(services, bridgeOf(services, request.params.name)),
  );

  app.put(
    '/v1/bridges/:name',
    {
      attachValidation: true,
      schema: {
        tags,
        summary: 'Make a bridge, or replace the settings of one; its ports stay',
        params: BridgeParams,
        body: BridgeSettings,
        response: { 200: BridgeView, 201: BridgeView, 202: { ...BridgeView, ...pending }, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      checkBody(request, nameFaults(request.body, name), name);
      const exists = configuration.database.find('Bridge', 'name', name) !== undefined;
      await configuration.apply(
        (database) => (exists ? replaceBridge : addBridge)(database, specOf(name, request.body)),
        `api: ${exists ? 'set' : 'add'} bridge ${name}`,
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting !== null ? 202 : exists ? 200 : 201);
      return viewBridge(services, bridgeOf(services, name), waiting);
    },
  );

  app.delete(
    '/v1/bridges/:name',
    {
      schema: {
        tags,
        summary: 'Remove a bridge with its ports and internal interfaces',
        params: BridgeParams,
        response: { 204: Type.Null(), 202: Type.Object({ pending: Type.String() }), '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      await configuration.apply((database) => removeBridge(database, name), `api: remove bridge ${name}`);
      const waiting = await waitForSwitch(services, name);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
}

function specOf(name: string, body: Omit<BridgeSpec, 'name'>): BridgeSpec {
  const { mac, ...rest } = body;
  return { ...rest, name, ...(mac === undefined ? {} : { mac: mac.toLowerCase() }) };
}
