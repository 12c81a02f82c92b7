/** /v1/bridges/{name}/flows and /groups: what the switch holds, as JSON or in ovs-ofctl's words. */
import type { FlowStats, GroupDesc } from 'node-openflow';
import { formatFlowStats, formatGroup, toJson } from 'node-openflow';
import type { FastifyReply } from 'fastify';
import type { FlowDump, GroupDump, SwitchDriver } from '../../switches/driver.js';
import { answer } from '../answers.js';
import type { App } from '../plugin.js';
import { negotiate } from '../negotiation.js';
import { ProblemError } from '../problems.js';
import { BridgeParams, FlowLines, FlowsView, GroupsView } from '../schemas.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

const tags = ['tables'];

export function tableRoutes(app: App, services: Services): void {
  app.get(
    '/v1/bridges/:name/flows',
    {
      schema: {
        tags,
        summary: "Every flow on the switch, users' too; text/plain: as ovs-ofctl dump-flows prints them",
        params: BridgeParams,
        response: { 200: answer(FlowsView, { description: 'The flows', also: { 'text/plain': FlowLines } }) },
      },
    },
    async (request, reply) => {
      const flows = await ask(services, request.params.name, (driver) => driver.dumpFlows());
      flows.sort((a, b) => a.tableId - b.tableId || b.priority - a.priority);
      if (negotiate(request.headers.accept, ['application/json', 'text/plain']) === 'text/plain')
        return sendLines(
          reply,
          flows.map((flow) => formatFlowStats(statsOf(flow))),
        );
      return {
        flows: flows.map((flow) => ({
          tableId: flow.tableId,
          priority: flow.priority,
          cookie: `0x${flow.cookie.toString(16)}`,
          match: plain(flow.match) as Record<string, unknown>,
          instructions: plain(flow.instructions) as unknown[],
          idleTimeoutS: flow.idleTimeoutS,
          hardTimeoutS: flow.hardTimeoutS,
          flags: [...flow.flags],
          packets: Number(flow.packets),
          bytes: Number(flow.bytes),
          durationS: flow.durationS,
          owner: flow.owner,
          text: formatFlowStats(statsOf(flow), { hasStats: false }),
        })),
      };
    },
  );

  app.get(
    '/v1/bridges/:name/groups',
    {
      schema: {
        tags,
        summary: 'Every group on the switch; text/plain: as ovs-ofctl dump-groups prints them',
        params: BridgeParams,
        response: {
          200: answer(GroupsView, { description: 'The groups', also: { 'text/plain': FlowLines } }),
        },
      },
    },
    async (request, reply) => {
      const groups = await ask(services, request.params.name, (driver) => driver.dumpGroups());
      groups.sort((a, b) => a.groupId - b.groupId);
      const text = (group: GroupDump) => formatGroup(descriptionOf(group));
      if (negotiate(request.headers.accept, ['application/json', 'text/plain']) === 'text/plain')
        return sendLines(reply, groups.map(text));
      return {
        groups: groups.map((group) => ({
          groupId: group.groupId,
          type: group.type,
          buckets: plain(group.buckets) as unknown[],
          owner: group.owner,
          text: text(group),
        })),
      };
    },
  );
}

async function ask<T>(
  services: Services,
  name: string,
  question: (driver: SwitchDriver) => Promise<T>,
): Promise<T> {
  bridgeOf(services, name);
  const driver = services.switches.driver(name);
  try {
    if (!driver) throw new Error(`the switch of ${name} is not connected yet`);
    return await question(driver);
  } catch (error) {
    throw new ProblemError(503, 'switch-unavailable', 'The switch does not answer', (error as Error).message);
  }
}

function sendLines(reply: FastifyReply, lines: string[]): FastifyReply {
  const text = lines.map((line) => `${line}\n`).join('');
  return reply.type('text/plain; charset=utf-8').serializer(String).send(text);
}

/** Values of node-openflow in JSON form: 64-bit integers and bytes as hexadecimal text. */
function plain(value: unknown): unknown {
  return toJson(value);
}

/** The dump in the shape of the message it came from. */
function statsOf(flow: FlowDump): FlowStats {
  const durationSec = Math.floor(flow.durationS);
  return {
    tableId: flow.tableId,
    durationSec,
    durationNsec: Math.round((flow.durationS - durationSec) * 1e9),
    priority: flow.priority,
    idleTimeout: flow.idleTimeoutS,
    hardTimeout: flow.hardTimeoutS,
    flags: flow.flags,
    cookie: flow.cookie,
    packetCount: flow.packets,
    byteCount: flow.bytes,
    match: flow.match,
    instructions: flow.instructions,
  } as unknown as FlowStats;
}

function descriptionOf({ groupId, type, buckets }: GroupDump): GroupDesc {
  return { groupId, groupType: type, buckets } as unknown as GroupDesc;
}
