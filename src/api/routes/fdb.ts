/** /v1/bridges/{name}/fdb: the MAC table. */
import { addStaticMac, removeStaticMac } from '../../config/index.js';
import { parseMacAddress } from '../../domain/index.js';
import type { FdbCriteria, FdbEntry } from '../../switches/driver.js';
import { answer, removed } from '../answers.js';
import { checkBody } from '../body.js';
import { pageOf } from '../paging.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import {
  BridgeParams,
  FdbEntryView,
  FdbFilter,
  FdbFlush,
  FdbParams,
  FdbTarget,
  FdbView,
  Flushed,
  Problem,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

const tags = ['fdb'];

export function fdbRoutes(app: App, services: Services): void {
  const { configuration, switches } = services;

  app.get(
    '/v1/bridges/:name/fdb',
    {
      schema: {
        tags,
        operationId: 'listFdb',
        summary: 'Which address is where: learned, static, and those of internal interfaces',
        description: 'In the order of VLANs, then addresses.',
        params: BridgeParams,
        querystring: FdbFilter,
        response: { 200: answer(FdbView, { description: 'The entries' }) },
      },
    },
    ({ params, query, url }) => {
      const { name } = bridgeOf(services, params.name);
      const { port, vlan, mac } = criteriaOf(query);
      const fitting = (switches.driver(name)?.fdb() ?? []).filter((entry) => {
        return (
          (port === undefined || entry.port === port) &&
          (vlan === undefined || entry.vlan === vlan) &&
          (mac === undefined || entry.mac === mac) &&
          (query.kind === undefined || entry.kind === query.kind)
        );
      });
      const { page, next } = pageOf(fitting, keyOf, query, url);
      return { entries: page, next };
    },
  );

  app.delete(
    '/v1/bridges/:name/fdb',
    {
      schema: {
        tags,
        operationId: 'flushFdb',
        summary: 'Forget learned addresses: all, or those that fit every criterion',
        params: BridgeParams,
        querystring: FdbFlush,
        response: { 200: answer(Flushed, { description: 'They are forgotten' }) },
      },
    },
    ({ params, query }) => {
      const { name } = bridgeOf(services, params.name);
      return { flushed: switches.driver(name)?.flushFdb(criteriaOf(query)) ?? 0 };
    },
  );

  app.get(
    '/v1/bridges/:name/fdb/:vlan/:mac',
    {
      schema: {
        tags,
        operationId: 'getFdbEntry',
        summary: 'Where one address is',
        params: FdbParams,
        response: { 200: answer(FdbEntryView, { description: 'The entry' }) },
      },
    },
    ({ params }) => {
      const { name } = bridgeOf(services, params.name);
      const { vlan, mac } = entryOf(params);
      const entry = switches
        .driver(name)
        ?.fdb()
        .find((each) => each.vlan === vlan && each.mac === mac);
      if (entry) return entry;
      throw new ProblemError(404, 'no-such-entry', 'No such entry', `${mac} is not known in VLAN ${vlan}`);
    },
  );

  app.put(
    '/v1/bridges/:name/fdb/:vlan/:mac',
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putFdbEntry',
        summary: 'Pin an address to a port: never learned elsewhere, never aged',
        params: FdbParams,
        body: FdbTarget,
        response: {
          200: answer(FdbEntryView, { description: 'It is pinned' }),
          202: answer(FdbEntryView, { description: 'Stored; the switch does not forward so yet' }),
          409: Problem,
        },
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
        operationId: 'removeFdbEntry',
        summary: 'Remove a static entry, or forget a learned one',
        description: 'Once more is answered 404, and changes nothing.',
        params: FdbParams,
        response: {
          ...removed,
        },
      },
    },
    async (request, reply) => {
      const { name, staticMacs } = bridgeOf(services, request.params.name);
      const entry = entryOf(request.params);
      const isStatic = staticMacs.some(({ vlan, mac }) => vlan === entry.vlan && mac === entry.mac);
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

/** Orders entries by VLAN, then address. */
function keyOf({ vlan, mac }: FdbEntry): string {
  return `${String(vlan).padStart(4, '0')}/${mac}`;
}

function entryOf({ vlan, mac }: { vlan: number; mac: string }) {
  const parsed = parseMacAddress(mac);
  // The schema has seen to it.
  if (parsed === undefined)
    throw new ProblemError(400, 'invalid', 'The request is not valid', `${mac} is no address`);
  return { vlan, mac: parsed };
}

function criteriaOf({ port, vlan, mac }: { port?: string; vlan?: number; mac?: string }): FdbCriteria {
  const parsed = mac === undefined ? undefined : parseMacAddress(mac);
  return {
    ...(port === undefined ? {} : { port }),
    ...(vlan === undefined ? {} : { vlan }),
    ...(parsed === undefined ? {} : { mac: parsed }),
  };
}
