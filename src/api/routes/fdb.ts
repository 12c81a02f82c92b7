/** /v1/bridges/{name}/fdb: the MAC table. */
import { Type } from 'typebox';
import { addStaticMac, removeStaticMac } from '../../config/index.js';
import { parseMacAddress } from '../../domain/index.js';
import type { FdbCriteria } from '../../switches/driver.js';
import { checkBody } from '../body.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import {
  BridgeParams,
  FdbEntryView,
  FdbTarget,
  FdbView,
  InterfaceName,
  Problem,
  StationMac,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

const tags = ['fdb'];
const VlanText = Type.String({
  pattern: '^(0|[1-9][0-9]{0,2}|[1-3][0-9]{3}|40[0-8][0-9]|409[0-5])$',
  description: 'VLAN id',
});
const Filter = Type.Object(
  { port: Type.Optional(InterfaceName), vlan: Type.Optional(VlanText), mac: Type.Optional(StationMac) },
  { additionalProperties: false },
);
const EntryParams = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255 }),
  vlan: VlanText,
  mac: StationMac,
});

export function fdbRoutes(app: App, services: Services): void {
  const { configuration, switches } = services;

  app.get(
    '/v1/bridges/:name/fdb',
    {
      schema: {
        tags,
        summary: 'Which address is where: learned, static, and those of internal interfaces',
        params: BridgeParams,
        querystring: Filter,
        response: { 200: FdbView, '4xx': Problem },
      },
    },
    (request) => {
      const { name } = bridgeOf(services, request.params.name);
      const { port, vlan, mac } = criteriaOf(request.query);
      const entries = switches.driver(name)?.fdb() ?? [];
      return {
        entries: entries.filter((entry) => {
          return (
            (port === undefined || entry.port === port) &&
            (vlan === undefined || entry.vlan === vlan) &&
            (mac === undefined || entry.mac === mac)
          );
        }),
      };
    },
  );

  app.delete(
    '/v1/bridges/:name/fdb',
    {
      schema: {
        tags,
        summary: 'Forget learned addresses: all, or those that fit',
        params: BridgeParams,
        querystring: Filter,
        response: { 200: Type.Object({ flushed: Type.Integer() }), '4xx': Problem },
      },
    },
    (request) => {
      const { name } = bridgeOf(services, request.params.name);
      return { flushed: switches.driver(name)?.flushFdb(criteriaOf(request.query)) ?? 0 };
    },
  );

  app.put(
    '/v1/bridges/:name/fdb/:vlan/:mac',
    {
      attachValidation: true,
      schema: {
        tags,
        summary: 'Pin an address to a port: never learned elsewhere, never aged',
        params: EntryParams,
        body: FdbTarget,
        response: { 200: FdbEntryView, 202: FdbEntryView, '4xx': Problem },
      },
    },
    async (request, reply) => {
      checkBody(request, []);
      const { name } = request.params;
      const entry = { ...entryOf(request.params), port: request.body.port };
      await configuration.apply(
        (database) => addStaticMac(database, name, entry),
        `api: static ${entry.mac} on ${name}`,
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting === null ? 200 : 202);
      return {
        ...entry,
        kind: 'static' as const,
        ageS: null,
        ...(waiting === null ? {} : { pending: waiting }),
      };
    },
  );

  app.delete(
    '/v1/bridges/:name/fdb/:vlan/:mac',
    {
      schema: {
        tags,
        summary: 'Remove a static entry, or forget a learned one',
        params: EntryParams,
        response: { 204: Type.Null(), 202: Type.Object({ pending: Type.String() }), '4xx': Problem },
      },
    },
    async (request, reply) => {
      const { name } = bridgeOf(services, request.params.name);
      const entry = entryOf(request.params);
      const isStatic = bridgeOf(services, name).staticMacs.some(
        ({ vlan, mac }) => vlan === entry.vlan && mac === entry.mac,
      );
      if (!isStatic && (switches.driver(name)?.flushFdb(entry) ?? 0) > 0) return reply.code(204).send(null);
      await configuration.apply(
        (database) => removeStaticMac(database, name, entry),
        `api: no static ${entry.mac} on ${name}`,
      );
      const waiting = await waitForSwitch(services, name);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
}

function entryOf({ vlan, mac }: { vlan: string; mac: string }) {
  const parsed = parseMacAddress(mac);
  // The schema has seen to it.
  if (parsed === undefined)
    throw new ProblemError(400, 'invalid', 'The request is not valid', `${mac} is no address`);
  return { vlan: Number(vlan), mac: parsed };
}

function criteriaOf({ port, vlan, mac }: { port?: string; vlan?: string; mac?: string }): FdbCriteria {
  const parsed = mac === undefined ? undefined : parseMacAddress(mac);
  return {
    ...(port === undefined ? {} : { port }),
    ...(vlan === undefined ? {} : { vlan: Number(vlan) }),
    ...(parsed === undefined ? {} : { mac: parsed }),
  };
}
