/** /v1/bridges/{name}/meters: every meter on the switch to read, users' own to change. */
import { Meter } from 'node-openflow';
import type { MessageInput } from 'node-openflow';
import { answer, nothing } from '../answers.js';
import { checkBody } from '../body.js';
import { negotiate } from '../negotiation.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import {
  Accepted,
  BridgeParams,
  FlowLines,
  MeterParams,
  MeterSettings,
  MeterView,
  MetersInput,
  MetersView,
  OwnedFilter,
  Problem,
  inEitherForm,
} from '../schemas.js';
import type { Services } from '../services.js';
import { ask, changeAsUser, driverOf } from '../tables/change.js';
import { entriesOf, messagesOf, readMeter } from '../tables/input.js';
import { meterLine, viewMeter } from '../tables/render.js';

const tags = ['tables'];
const URL = '/v1/bridges/:name/meters';
const refusals = { 409: Problem, 422: Problem };

export function meterRoutes(app: App, services: Services): void {
  const dump = async (bridge: string) => {
    const meters = await ask(services, bridge, (driver) => driver.dumpMeters());
    return meters.sort((a, b) => a.meterId - b.meterId);
  };

  app.get(
    URL,
    {
      schema: {
        tags,
        operationId: 'listMeters',
        summary: "The meters on the switch, the programs' and users'",
        params: BridgeParams,
        querystring: OwnedFilter,
        response: {
          200: answer(MetersView, { description: 'The meters', also: { 'text/plain': FlowLines } }),
          ...refusals,
        },
      },
    },
    async ({ params, query, headers }, reply) => {
      const meters = (await dump(params.name)).filter(
        ({ owner }) => query.owner === undefined || (owner?.program ?? 'user') === query.owner,
      );
      if (negotiate(headers.accept, ['application/json', 'text/plain']) === 'text/plain') {
        const text = meters.map((meter) => meterLine(meter)).join('');
        return reply
          .type('text/plain; charset=utf-8')
          .serializer(String)
          .send(text as never);
      }
      return { meters: meters.map((meter) => viewMeter(meter)) };
    },
  );

  app.post(
    URL,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'addMeters',
        summary: "Add meters of users': all of them or, if one is refused, none",
        params: BridgeParams,
        body: inEitherForm(MetersInput),
        response: { 200: answer(Accepted, { description: 'The switch holds them' }), ...refusals },
      },
    },
    async (request) => {
      checkBody(request, []);
      const driver = driverOf(services, request.params.name);
      const entries = entriesOf(request.body, 'meters');
      const messages = messagesOf(entries, (value) => readMeter(value, 'ADD'));
      await changeAsUser(
        driver,
        messages,
        entries.map(({ path }) => path),
      );
      return { accepted: messages.length };
    },
  );

  app.delete(
    URL,
    {
      schema: {
        tags,
        operationId: 'removeMeters',
        summary: "Delete all meters of users', and users' flows that use it",
        description: 'Whether there are any or not, none is there afterwards: 204.',
        params: BridgeParams,
        response: { 204: nothing('There are none any more'), ...refusals },
      },
    },
    async ({ params }, reply) => {
      await changeAsUser(driverOf(services, params.name), [deletion(Meter.ALL)]);
      return reply.code(204).send(null);
    },
  );

  app.get(
    `${URL}/:meterId`,
    {
      schema: {
        tags,
        operationId: 'getMeter',
        summary: 'One meter',
        params: MeterParams,
        response: { 200: answer(MeterView, { description: 'The meter' }), ...refusals },
      },
    },
    async ({ params: { name, meterId } }) => {
      const meter = (await dump(name)).find((each) => each.meterId === meterId);
      if (!meter) throw noSuchMeter(name, meterId);
      return viewMeter(meter);
    },
  );

  app.put(
    `${URL}/:meterId`,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putMeter',
        summary: "Make a meter of users', or give one these flags and bands",
        params: MeterParams,
        body: MeterSettings,
        response: {
          200: answer(Accepted, { description: 'It is so' }),
          201: answer(Accepted, { description: 'It is there' }),
          ...refusals,
        },
      },
    },
    async (request, reply) => {
      const { name, meterId } = request.params;
      const { body } = request;
      const given = (body as { meterId?: number } | null)?.meterId ?? meterId;
      checkBody(
        request,
        given === meterId ? [] : [{ path: '/meterId', message: `is not ${meterId} as in the path` }],
      );
      const driver = driverOf(services, name);
      const exists = (await dump(name)).some((each) => each.meterId === meterId);
      const messages = messagesOf([{ value: { ...body, meterId }, path: '' }], (value) =>
        readMeter(value, exists ? 'MODIFY' : 'ADD'),
      );
      await changeAsUser(driver, messages);
      reply.code(exists ? 200 : 201);
      return { accepted: 1 };
    },
  );

  app.delete(
    `${URL}/:meterId`,
    {
      schema: {
        tags,
        operationId: 'removeMeter',
        summary: "Delete a meter of users', and users' flows that use it",
        description: 'Once more is answered 404, and changes nothing.',
        params: MeterParams,
        response: { 204: nothing('It is gone'), ...refusals },
      },
    },
    async ({ params: { name, meterId } }, reply) => {
      const driver = driverOf(services, name);
      if (!(await dump(name)).some((each) => each.meterId === meterId)) throw noSuchMeter(name, meterId);
      await changeAsUser(driver, [deletion(meterId)]);
      return reply.code(204).send(null);
    },
  );
}

function deletion(meterId: number): MessageInput {
  return { type: 'METER_MOD', command: 'DELETE', meterId, flags: [], bands: [] };
}

function noSuchMeter(bridge: string, meterId: number): ProblemError {
  return new ProblemError(
    404,
    'no-such-meter',
    'No such meter',
    `the switch of ${bridge} has no meter ${meterId}`,
  );
}
