/** /v1/bridges/{name}/ports/{port}/interfaces: the one interface of a port, or the members of a bond. */
import { interfaceNamesOf, portRow, replaceInterface } from '../../config/index.js';
import type { InterfaceSpec } from '../../config/index.js';
import { answer, notModified } from '../answers.js';
import { checkBody, patched } from '../body.js';
import { checkConditions, isKnown } from '../etag.js';
import { interfaceFaults, keyFaults, nameFaults } from '../faults.js';
import type { App } from '../plugin.js';
import {
  InterfaceBody,
  InterfaceParams,
  InterfacePatch,
  InterfaceView,
  InterfacesView,
  PortParams,
  Problem,
  ReadConditions,
  WriteConditions,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { interfaceSnapshot, viewInterface } from '../views.js';

const tags = ['ports'];
const shown = (description: string) => answer(InterfaceView, { description, hasEtag: true });
const accepted = shown('Stored; the switch does not forward so yet, `pending` says why');
const REPEATED = ['bridge', 'port', 'ofport', 'status', 'pending'];
const URL = '/v1/bridges/:name/ports/:port/interfaces';

export function interfaceRoutes(app: App, services: Services): void {
  const { configuration } = services;

  app.get(
    URL,
    {
      schema: {
        tags,
        operationId: 'listInterfaces',
        summary: 'The interfaces of a port, by name; more than one make a bond',
        params: PortParams,
        response: { 200: answer(InterfacesView, { description: 'The interfaces' }) },
      },
    },
    ({ params: { name, port } }) => {
      const { database } = configuration;
      const names = interfaceNamesOf(database, portRow(database, name, port));
      const view = (each: string) =>
        viewInterface(services, name, port, interfaceSnapshot(database, name, port, each));
      return { interfaces: names.map(view) };
    },
  );

  app.get(
    `${URL}/:interface`,
    {
      schema: {
        tags,
        operationId: 'getInterface',
        summary: 'One interface',
        params: InterfaceParams,
        headers: ReadConditions,
        response: { 200: shown('The interface'), ...notModified },
      },
    },
    async ({ params: { name, port, interface: iface }, headers }, reply) => {
      const snapshot = interfaceSnapshot(configuration.database, name, port, iface);
      if (isKnown(reply, snapshot.etag, headers)) return reply.code(304).send(undefined);
      return viewInterface(services, name, port, snapshot);
    },
  );

  app.put(
    `${URL}/:interface`,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putInterface',
        summary: 'Replace the settings of an interface',
        description: "It is made and removed by its port's `interfaces`.",
        params: InterfaceParams,
        headers: WriteConditions,
        body: InterfaceBody,
        response: { 200: shown('As set'), 202: accepted, 409: Problem, 412: Problem },
      },
    },
    async (request, reply) => {
      const { body } = request;
      checkBody(request, [...nameFaults(body, request.params.interface), ...interfaceFaults(body)]);
      return replace(request.params, request.headers, () => body, reply);
    },
  );

  app.patch(
    `${URL}/:interface`,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'patchInterface',
        summary: 'Change some settings of an interface (RFC 7396); null: back to the default',
        params: InterfaceParams,
        headers: WriteConditions,
        consumes: ['application/merge-patch+json'],
        body: InterfacePatch,
        response: { 200: shown('As changed'), 202: accepted, 409: Problem, 412: Problem },
      },
    },
    async (request, reply) => {
      const { body } = request;
      checkBody(request, [...nameFaults(body, request.params.interface), ...keyFaults('Interface', body)]);
      const change = (spec: InterfaceSpec) =>
        patched<InterfaceSpec>(request, spec, InterfaceBody, REPEATED, (result) => interfaceFaults(result));
      return replace(request.params, request.headers, change, reply);
    },
  );

  async function replace(
    { name, port, interface: iface }: { name: string; port: string; interface: string },
    conditions: { 'if-match'?: string; 'if-none-match'?: string },
    change: (spec: InterfaceSpec) => Omit<InterfaceSpec, 'name'>,
    reply: { code(status: number): { header(name: string, value: string): unknown } },
  ): Promise<InterfaceView> {
    const snapshot = await configuration.apply(
      (database) => {
        const { spec, etag } = interfaceSnapshot(database, name, port, iface);
        checkConditions(conditions, etag);
        const { mac, ...settings } = change(spec);
        const wanted = { ...settings, name: iface, mac: mac?.toLowerCase() ?? null };
        return replaceInterface(database, name, port, wanted);
      },
      `api: set interface ${iface} of ${name}`,
      (database) => interfaceSnapshot(database, name, port, iface),
    );
    const waiting = await waitForSwitch(services, name, port);
    reply.code(waiting === null ? 200 : 202).header('etag', snapshot.etag);
    return viewInterface(services, name, port, snapshot, waiting);
  }
}
