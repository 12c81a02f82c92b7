/** /v1/bridges */
import { addBridge, removeBridge, replaceBridge } from '../../config/index.js';
import type { BridgeSpec } from '../../config/index.js';
import { answer, notModified, removed } from '../answers.js';
import { checkBody, patched } from '../body.js';
import { checkConditions, isKnown } from '../etag.js';
import { bridgeFaults, keyFaults, nameFaults } from '../faults.js';
import { fitsPattern, pageOf } from '../paging.js';
import type { App } from '../plugin.js';
import {
  BRIDGE_NAME,
  BridgeFilter,
  BridgeParams,
  BridgePatch,
  BridgeSettings,
  BridgeView,
  BridgesView,
  NewBridge,
  Problem,
  ReadConditions,
  WriteConditions,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { bridgeSnapshot, viewBridge } from '../views.js';

const tags = ['bridges'];
const shown = (description: string) => answer(BridgeView, { description, hasEtag: true });
const accepted = shown('Stored; the switch does not forward so yet, `pending` says why');
const REPEATED = ['status', 'pending'];

export function bridgeRoutes(app: App, services: Services): void {
  const { configuration } = services;
  const find = (name: string) => configuration.database.find('Bridge', 'name', name);

  app.get(
    '/v1/bridges',
    {
      schema: {
        tags,
        operationId: 'listBridges',
        summary: 'All bridges, by name',
        querystring: BridgeFilter,
        response: { 200: answer(BridgesView, { description: 'The bridges' }) },
      },
    },
    ({ query, url }) => {
      const names = configuration.reading.network.bridges.map(({ name }) => name);
      const fitting = names.filter((name) => fitsPattern(name, query.name));
      const { page, next } = pageOf(fitting, (name) => name, query, url);
      // One that was removed a moment ago is still in the reading, not in the database.
      const there = page.filter((name) => find(name));
      return {
        bridges: there.map((name) => viewBridge(services, bridgeSnapshot(configuration.database, name))),
        next,
      };
    },
  );

  app.post(
    '/v1/bridges',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'addBridge',
        summary: 'Make a bridge, and its own port: an internal interface of the same name',
        body: NewBridge,
        response: {
          201: answer(BridgeView, {
            description: 'It is there, and forwards',
            hasEtag: true,
            headers: { location: { type: 'string', description: 'Its URL' } },
          }),
          202: accepted,
          409: Problem,
        },
      },
    },
    async (request, reply) => {
      checkBody(request, bridgeFaults(request.body));
      const { name } = request.body;
      const snapshot = await configuration.apply(
        (database) => addBridge(database, specOf(name, request.body)),
        `api: add bridge ${name}`,
        (database) => bridgeSnapshot(database, name),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting === null ? 201 : 202).header('location', `/v1/bridges/${encodeURIComponent(name)}`);
      reply.header('etag', snapshot.etag);
      return viewBridge(services, snapshot, waiting);
    },
  );

  app.get(
    '/v1/bridges/:name',
    {
      schema: {
        tags,
        operationId: 'getBridge',
        summary: 'One bridge',
        params: BridgeParams,
        headers: ReadConditions,
        response: { 200: shown('The bridge'), ...notModified },
      },
    },
    async ({ params, headers }, reply) => {
      const snapshot = bridgeSnapshot(configuration.database, params.name);
      if (isKnown(reply, snapshot.etag, headers)) return reply.code(304).send(undefined);
      return viewBridge(services, snapshot);
    },
  );

  app.put(
    '/v1/bridges/:name',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putBridge',
        summary: 'Make a bridge, or replace the settings of one; its ports stay',
        description: 'What the body leaves out is at its default afterwards. The same twice changes nothing.',
        params: BridgeParams,
        headers: WriteConditions,
        body: BridgeSettings,
        response: {
          200: shown('As set'),
          201: shown('It is there, and forwards'),
          202: accepted,
          409: Problem,
          412: Problem,
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { body, headers } = request;
      const faults = BRIDGE_NAME.test(name)
        ? []
        : [{ path: '', message: `"${name}" cannot be the name of a bridge` }];
      checkBody(request, [...faults, ...nameFaults(body, name), ...bridgeFaults(body)]);
      let exists = false;
      const snapshot = await configuration.apply(
        (database) => {
          exists = find(name) !== undefined;
          checkConditions(headers, exists ? bridgeSnapshot(database, name).etag : undefined);
          return (exists ? replaceBridge : addBridge)(database, specOf(name, body));
        },
        `api: set bridge ${name}`,
        (database) => bridgeSnapshot(database, name),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting !== null ? 202 : exists ? 200 : 201).header('etag', snapshot.etag);
      return viewBridge(services, snapshot, waiting);
    },
  );

  app.patch(
    '/v1/bridges/:name',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'patchBridge',
        summary: 'Change some settings of a bridge (RFC 7396); null: back to the default',
        params: BridgeParams,
        headers: WriteConditions,
        consumes: ['application/merge-patch+json'],
        body: BridgePatch,
        response: { 200: shown('As changed'), 202: accepted, 409: Problem, 412: Problem },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      checkBody(request, [...nameFaults(request.body, name), ...keyFaults('Bridge', request.body)]);
      const snapshot = await configuration.apply(
        (database) => {
          const { spec, etag } = bridgeSnapshot(database, name);
          checkConditions(request.headers, etag);
          const settings = patched<BridgeSpec>(request, spec, BridgeSettings, REPEATED, bridgeFaults);
          return replaceBridge(database, specOf(name, settings));
        },
        `api: change bridge ${name}`,
        (database) => bridgeSnapshot(database, name),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting === null ? 200 : 202).header('etag', snapshot.etag);
      return viewBridge(services, snapshot, waiting);
    },
  );

  app.delete(
    '/v1/bridges/:name',
    {
      schema: {
        tags,
        operationId: 'removeBridge',
        summary: 'Remove a bridge with its ports and internal interfaces',
        description: 'Once more is answered 404, and changes nothing.',
        params: BridgeParams,
        headers: WriteConditions,
        response: {
          ...removed,
          412: Problem,
        },
      },
    },
    async ({ params: { name }, headers }, reply) => {
      await configuration.apply((database) => {
        checkConditions(headers, bridgeSnapshot(database, name).etag);
        return removeBridge(database, name);
      }, `api: remove bridge ${name}`);
      const waiting = await waitForSwitch(services, name);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
}

function specOf(name: string, body: Omit<BridgeSpec, 'name'>): BridgeSpec {
  const { mac, ...rest } = body;
  return { ...rest, name, ...(mac === undefined ? {} : { mac: mac.toLowerCase() }) };
}
