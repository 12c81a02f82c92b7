/** /v1/bridges/{name}/groups: every group on the switch to read, users' own to change. */
import { Group } from 'node-openflow';
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
  GroupParams,
  GroupSettings,
  GroupView,
  GroupsInput,
  GroupsView,
  OwnedFilter,
  Problem,
  inEitherForm,
} from '../schemas.js';
import type { Services } from '../services.js';
import { ask, changeAsUser, driverOf } from '../tables/change.js';
import { entriesOf, messagesOf, readGroup } from '../tables/input.js';
import { groupLine, portNames, viewGroup } from '../tables/render.js';

const tags = ['tables'];
const URL = '/v1/bridges/:name/groups';
const refusals = { 409: Problem, 422: Problem };

export function groupRoutes(app: App, services: Services): void {
  const dump = async (bridge: string) => {
    const groups = await ask(services, bridge, (driver) => driver.dumpGroups());
    return groups.sort((a, b) => a.groupId - b.groupId);
  };

  app.get(
    URL,
    {
      schema: {
        tags,
        operationId: 'listGroups',
        summary: "The groups on the switch, the programs' and users'",
        params: BridgeParams,
        querystring: OwnedFilter,
        response: {
          200: answer(GroupsView, { description: 'The groups', also: { 'text/plain': FlowLines } }),
          ...refusals,
        },
      },
    },
    async ({ params, query, headers }, reply) => {
      const names = portNames(driverOf(services, params.name).ports());
      const groups = (await dump(params.name)).filter(
        ({ owner }) => query.owner === undefined || (owner?.program ?? 'user') === query.owner,
      );
      if (negotiate(headers.accept, ['application/json', 'text/plain']) === 'text/plain') {
        const text = groups.map((group) => groupLine(group, names)).join('');
        return reply
          .type('text/plain; charset=utf-8')
          .serializer(String)
          .send(text as never);
      }
      return { groups: groups.map((group) => viewGroup(group, names)) };
    },
  );

  app.post(
    URL,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'addGroups',
        summary: "Add groups of users': all of them or, if one is refused, none",
        params: BridgeParams,
        body: inEitherForm(GroupsInput),
        response: { 200: answer(Accepted, { description: 'The switch holds them' }), ...refusals },
      },
    },
    async (request) => {
      checkBody(request, []);
      const driver = driverOf(services, request.params.name);
      const names = portNames(driver.ports());
      const entries = entriesOf(request.body, 'groups');
      const messages = messagesOf(entries, (value) => readGroup(value, 'ADD', names));
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
        operationId: 'removeGroups',
        summary: "Delete all groups of users', and users' flows that lead there",
        description: 'Whether there are any or not, none is there afterwards: 204.',
        params: BridgeParams,
        response: { 204: nothing('There are none any more'), ...refusals },
      },
    },
    async ({ params }, reply) => {
      await changeAsUser(driverOf(services, params.name), [deletion(Group.ALL)]);
      return reply.code(204).send(null);
    },
  );

  app.get(
    `${URL}/:groupId`,
    {
      schema: {
        tags,
        operationId: 'getGroup',
        summary: 'One group',
        params: GroupParams,
        response: { 200: answer(GroupView, { description: 'The group' }), ...refusals },
      },
    },
    async ({ params: { name, groupId } }) => {
      const group = (await dump(name)).find((each) => each.groupId === groupId);
      if (!group) throw noSuchGroup(name, groupId);
      return viewGroup(group, portNames(driverOf(services, name).ports()));
    },
  );

  app.put(
    `${URL}/:groupId`,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putGroup',
        summary: "Make a group of users', or give one this type and these buckets",
        params: GroupParams,
        body: GroupSettings,
        response: {
          200: answer(Accepted, { description: 'It is so' }),
          201: answer(Accepted, { description: 'It is there' }),
          ...refusals,
        },
      },
    },
    async (request, reply) => {
      const { name, groupId } = request.params;
      const { body } = request;
      const given = (body as { groupId?: number } | null)?.groupId ?? groupId;
      checkBody(
        request,
        given === groupId ? [] : [{ path: '/groupId', message: `is not ${groupId} as in the path` }],
      );
      const driver = driverOf(services, name);
      const exists = (await dump(name)).some((each) => each.groupId === groupId);
      const messages = messagesOf([{ value: { ...body, groupId }, path: '' }], (value) =>
        readGroup(value, exists ? 'MODIFY' : 'ADD', portNames(driver.ports())),
      );
      await changeAsUser(driver, messages);
      reply.code(exists ? 200 : 201);
      return { accepted: 1 };
    },
  );

  app.delete(
    `${URL}/:groupId`,
    {
      schema: {
        tags,
        operationId: 'removeGroup',
        summary: "Delete a group of users', and users' flows that lead there",
        description: 'Once more is answered 404, and changes nothing.',
        params: GroupParams,
        response: { 204: nothing('It is gone'), ...refusals },
      },
    },
    async ({ params: { name, groupId } }, reply) => {
      const driver = driverOf(services, name);
      if (!(await dump(name)).some((each) => each.groupId === groupId)) throw noSuchGroup(name, groupId);
      await changeAsUser(driver, [deletion(groupId)]);
      return reply.code(204).send(null);
    },
  );
}

function deletion(groupId: number): MessageInput {
  return { type: 'GROUP_MOD', command: 'DELETE', groupType: 'ALL', groupId, buckets: [] };
}

function noSuchGroup(bridge: string, groupId: number): ProblemError {
  return new ProblemError(
    404,
    'no-such-group',
    'No such group',
    `the switch of ${bridge} has no group ${groupId}`,
  );
}
