/** /v1/bridges/{name}/ports */
import { Type } from 'typebox';
import { addPort, removePort, replacePort } from '../../config/index.js';
import type { PortSpec } from '../../config/index.js';
import { checkBody } from '../body.js';
import { nameFaults, portFaults } from '../faults.js';
import type { App } from '../plugin.js';
import { BridgeParams, NewPort, PortParams, PortSettings, PortView, Problem } from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { bridgeOf, portOf, viewPort } from '../views.js';

const tags = ['ports'];

export function portRoutes(app: App, services: Services): void {
  const { configuration } = services;

  app.get(
    '/v1/bridges/:name/ports',
    {
      schema: {
        tags,
        summary: 'The ports of a bridge, its own included',
        params: BridgeParams,
        response: { 200: Type.Object({ ports: Type.Array(PortView) }), '4xx': Problem },
      },
    },
    (request) => {
      const { name, ports } = bridgeOf(services, request.params.name);
      return { ports: ports.map((port) => viewPort(services, name, port)) };
    },
  );

  app.post(
    '/v1/bridges/:name/ports',
    {
      attachValidation: true,
      schema: {
        tags,
        summary: 'Add a port. Its device may come later',
        params: BridgeParams,
        body: NewPort,
        response: { 201: PortView, 202: PortView, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const bridge = request.params.name;
      checkBody(request, portFaults(request.body));
      const { name } = request.body;
      await configuration.apply(
        (database) => addPort(database, bridge, specOf(name, request.body)),
        `api: add port ${name} to ${bridge}`,
      );
      const waiting = await waitForSwitch(services, bridge, name);
      const location = `/v1/bridges/${encodeURIComponent(bridge)}/ports/${encodeURIComponent(name)}`;
      reply.code(waiting === null ? 201 : 202).header('location', location);
      return viewPort(services, bridge, portOf(services, bridge, name), waiting);
    },
  );

  app.get(
    '/v1/bridges/:name/ports/:port',
    {
      schema: { tags, summary: 'One port', params: PortParams, response: { 200: PortView, '4xx': Problem } },
    },
    ({ params }) => viewPort(services, params.name, portOf(services, params.name, params.port)),
  );

  app.put(
    '/v1/bridges/:name/ports/:port',
    {
      attachValidation: true,
      schema: {
        tags,
        summary: 'Add a port, or replace the settings of one; it keeps its OpenFlow number',
        params: PortParams,
        body: PortSettings,
        response: { 200: PortView, 201: PortView, 202: PortView, '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { name: bridge, port: name } = request.params;
      checkBody(request, [...nameFaults(request.body, name), ...portFaults(request.body)], name);
      const { ports } = bridgeOf(services, bridge);
      const exists = ports.some((each) => each.name === name);
      await configuration.apply(
        (database) => (exists ? replacePort : addPort)(database, bridge, specOf(name, request.body)),
        `api: ${exists ? 'set' : 'add'} port ${name} of ${bridge}`,
      );
      const waiting = await waitForSwitch(services, bridge, name);
      reply.code(waiting !== null ? 202 : exists ? 200 : 201);
      return viewPort(services, bridge, portOf(services, bridge, name), waiting);
    },
  );

  app.delete(
    '/v1/bridges/:name/ports/:port',
    {
      schema: {
        tags,
        summary: 'Remove a port; an internal interface goes with it',
        params: PortParams,
        response: { 204: Type.Null(), 202: Type.Object({ pending: Type.String() }), '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { name, port } = request.params;
      await configuration.apply(
        (database) => removePort(database, name, port),
        `api: remove port ${port} of ${name}`,
      );
      const waiting = await waitForSwitch(services, name, port);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
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
