/** /v1/bridges/{name}/ports */
import { addPort, removePort, replacePort } from '../../config/index.js';
import type { PortSpec } from '../../config/index.js';
import type { LogicalPort } from '../../domain/index.js';
import { answer, notModified, removed } from '../answers.js';
import { checkBody, patched } from '../body.js';
import { checkConditions, isKnown } from '../etag.js';
import { keyFaults, nameFaults, portFaults } from '../faults.js';
import { fitsPattern, pageOf } from '../paging.js';
import type { App } from '../plugin.js';
import {
  BridgeParams,
  NewPort,
  PortFilter,
  PortParams,
  PortPatch,
  PortSettings,
  PortView,
  PortsView,
  Problem,
  ReadConditions,
  WriteConditions,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { bridgeOf, portSnapshot, viewPort } from '../views.js';

const tags = ['ports'];
const shown = (description: string) => answer(PortView, { description, hasEtag: true });
const accepted = shown('Stored; the switch does not forward so yet, `pending` says why');
const REPEATED = ['bridge', 'ofport', 'status', 'members', 'pending'];

export function portRoutes(app: App, services: Services): void {
  const { configuration } = services;
  const findPort = (name: string) => configuration.database.find('Port', 'name', name);

  app.get(
    '/v1/bridges/:name/ports',
    {
      schema: {
        tags,
        operationId: 'listPorts',
        summary: 'The ports of a bridge, its own included, by name',
        params: BridgeParams,
        querystring: PortFilter,
        response: { 200: answer(PortsView, { description: 'The ports' }) },
      },
    },
    ({ params, query, url }) => {
      const { name: bridge, ports } = bridgeOf(services, params.name);
      const { vlan, vlanMode, type, linkUp } = query;
      const fitting = ports.filter((port) => {
        return (
          fitsPattern(port.name, query.name) &&
          (vlanMode === undefined || port.vlanMode === vlanMode) &&
          (vlan === undefined || carries(port, vlan)) &&
          (type === undefined || port.interfaces[0]?.type === type) &&
          (linkUp === undefined ||
            (services.switches.port(bridge, port.interfaces[0]?.name ?? '')?.linkUp ?? false) === linkUp)
        );
      });
      const { page, next } = pageOf(fitting, ({ name }) => name, query, url);
      // One that was removed a moment ago is still in the reading, not in the database.
      const there = page.filter(({ name }) => findPort(name));
      const view = ({ name }: LogicalPort) =>
        viewPort(services, bridge, portSnapshot(configuration.database, bridge, name));
      return { ports: there.map(view), next };
    },
  );

  app.post(
    '/v1/bridges/:name/ports',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'addPort',
        summary: 'Add a port. Its device may come later',
        description: 'With several `interfaces` it is a bond.',
        params: BridgeParams,
        body: NewPort,
        response: {
          201: answer(PortView, {
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
      const bridge = request.params.name;
      checkBody(request, portFaults(request.body));
      const { name } = request.body;
      const snapshot = await configuration.apply(
        (database) => addPort(database, bridge, specOf(name, request.body)),
        `api: add port ${name} to ${bridge}`,
        (database) => portSnapshot(database, bridge, name),
      );
      const waiting = await waitForSwitch(services, bridge, name);
      const location = `/v1/bridges/${encodeURIComponent(bridge)}/ports/${encodeURIComponent(name)}`;
      reply.code(waiting === null ? 201 : 202).headers({ location, etag: snapshot.etag });
      return viewPort(services, bridge, snapshot, waiting);
    },
  );

  app.get(
    '/v1/bridges/:name/ports/:port',
    {
      schema: {
        tags,
        operationId: 'getPort',
        summary: 'One port',
        params: PortParams,
        headers: ReadConditions,
        response: { 200: shown('The port'), ...notModified },
      },
    },
    async ({ params, headers }, reply) => {
      const snapshot = portSnapshot(configuration.database, params.name, params.port);
      if (isKnown(reply, snapshot.etag, headers)) return reply.code(304).send(undefined);
      return viewPort(services, params.name, snapshot);
    },
  );

  app.put(
    '/v1/bridges/:name/ports/:port',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putPort',
        summary: 'Add a port, or replace the settings of one; it keeps its OpenFlow number',
        description: 'What the body leaves out is at its default afterwards. The same twice changes nothing.',
        params: PortParams,
        headers: WriteConditions,
        body: PortSettings,
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
      const { name: bridge, port: name } = request.params;
      const { body, headers } = request;
      checkBody(request, [...nameFaults(body, name), ...portFaults(body)], name);
      let exists = false;
      const snapshot = await configuration.apply(
        (database) => {
          const { ports } = bridgeOf(services, bridge);
          exists = findPort(name) !== undefined && ports.some((port) => port.name === name);
          checkConditions(headers, exists ? portSnapshot(database, bridge, name).etag : undefined);
          return (exists ? replacePort : addPort)(database, bridge, specOf(name, body));
        },
        `api: set port ${name} of ${bridge}`,
        (database) => portSnapshot(database, bridge, name),
      );
      const waiting = await waitForSwitch(services, bridge, name);
      reply.code(waiting !== null ? 202 : exists ? 200 : 201).header('etag', snapshot.etag);
      return viewPort(services, bridge, snapshot, waiting);
    },
  );

  app.patch(
    '/v1/bridges/:name/ports/:port',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'patchPort',
        summary: 'Change some settings of a port (RFC 7396); null: back to the default',
        params: PortParams,
        headers: WriteConditions,
        consumes: ['application/merge-patch+json'],
        body: PortPatch,
        response: { 200: shown('As changed'), 202: accepted, 409: Problem, 412: Problem },
      },
    },
    async (request, reply) => {
      const { name: bridge, port: name } = request.params;
      checkBody(request, [...nameFaults(request.body, name), ...keyFaults('Port', request.body)]);
      const snapshot = await configuration.apply(
        (database) => {
          const { spec, etag } = portSnapshot(database, bridge, name);
          checkConditions(request.headers, etag);
          const settings = patched<PortSpec>(request, spec, PortSettings, REPEATED, portFaults);
          return replacePort(database, bridge, specOf(name, settings));
        },
        `api: change port ${name} of ${bridge}`,
        (database) => portSnapshot(database, bridge, name),
      );
      const waiting = await waitForSwitch(services, bridge, name);
      reply.code(waiting === null ? 200 : 202).header('etag', snapshot.etag);
      return viewPort(services, bridge, snapshot, waiting);
    },
  );

  app.delete(
    '/v1/bridges/:name/ports/:port',
    {
      schema: {
        tags,
        operationId: 'removePort',
        summary: 'Remove a port; an internal interface goes with it',
        description: 'Once more is answered 404, and changes nothing.',
        params: PortParams,
        headers: WriteConditions,
        response: {
          ...removed,
          409: Problem,
          412: Problem,
        },
      },
    },
    async ({ params: { name, port }, headers }, reply) => {
      await configuration.apply((database) => {
        const operations = removePort(database, name, port);
        checkConditions(headers, portSnapshot(database, name, port).etag);
        return operations;
      }, `api: remove port ${port} of ${name}`);
      const waiting = await waitForSwitch(services, name, port);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
}

/** Whether frames of this VLAN pass the port. */
function carries({ vlanMode, tag, trunks }: LogicalPort, vlan: number): boolean {
  if (vlanMode === 'access' || vlanMode === 'dot1q-tunnel') return tag === vlan;
  return trunks === null || trunks.has(vlan);
}

/** The settings as stored: a mode is always said, so that what is shown is what was meant. */
function specOf(name: string, body: Omit<PortSpec, 'name'>): PortSpec {
  const { mac, tag, vlanMode, ...rest } = body;
  const hasTag = tag !== undefined && tag !== null;
  return {
    ...rest,
    name,
    vlanMode: vlanMode ?? (hasTag ? 'access' : 'trunk'),
    tag: tag ?? null,
    mac: mac?.toLowerCase() ?? null,
  };
}
