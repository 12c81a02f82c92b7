/** /v1/bridges/{name}/flows: every flow on the switch to read, users' own to change. */
import { Readable } from 'node:stream';
import type { FlowDump, SwitchDriver } from '../../switches/driver.js';
import { answer, nothing } from '../answers.js';
import { checkBody } from '../body.js';
import { negotiate } from '../negotiation.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import {
  Accepted,
  BridgeParams,
  FlowCommand,
  FlowFilter,
  FlowLines,
  FlowSelection,
  FlowStream,
  FlowsInput,
  FlowsView,
  OFCTL_TYPE,
  Problem,
  Replaced,
  inEitherForm,
} from '../schemas.js';
import type { Services } from '../services.js';
import { ask, changeAsUser, driverOf } from '../tables/change.js';
import { deleteOf, entriesOf, messagesOf, readFlow, selectionOf } from '../tables/input.js';
import { FlowWriter, portNames } from '../tables/render.js';
import { replacement } from '../tables/replace.js';
import { Sheaf } from '../tables/sheaf.js';

const tags = ['tables'];
const URL = '/v1/bridges/:name/flows';
const BODY_LIMIT = 32 << 20;
const NDJSON = 'application/x-ndjson';
const TYPES = ['application/json', 'text/plain', NDJSON];
/** As many are held at once to be put in order; an answer of so many has some 30 MB. */
const MOST_SORTED = 50_000;
const COMMANDS = { add: 'ADD', modify: 'MODIFY', 'modify-strict': 'MODIFY_STRICT' } as const;
const refusals = { 409: Problem, 422: Problem };

export function flowRoutes(app: App, services: Services): void {
  app.addContentTypeParser(OFCTL_TYPE, { parseAs: 'string' }, (_request, body, done) => done(null, body));

  app.get(
    URL,
    {
      schema: {
        tags,
        operationId: 'listFlows',
        summary: "The flows on the switch, the programs' and users'",
        description: `As JSON or text/plain: in the order of tables and priorities, up to ${MOST_SORTED} flows; of more, 406. As application/x-ndjson: while they come from the switch, in its order, however many there are.`,
        params: BridgeParams,
        querystring: FlowFilter,
        response: {
          200: answer(FlowsView, {
            description: 'The flows',
            also: { 'text/plain': FlowLines, [NDJSON]: FlowStream },
          }),
          ...refusals,
        },
      },
    },
    async ({ params, query, headers }, reply) => {
      const driver = driverOf(services, params.name);
      const names = portNames(driver.ports());
      const selection = selectionOf(query, names);
      const isWanted = ({ owner }: FlowDump) =>
        query.owner === undefined || (owner?.program ?? 'user') === query.owner;
      const type = negotiate(headers.accept, TYPES);
      const writer = new FlowWriter(names);
      if (type === NDJSON) {
        const parts = driver.streamFlows(selection);
        // What fails before there is anything to send can still be a problem document.
        const first = await ask(services, params.name, () => parts.next());
        const lines = ndjson(first, parts, isWanted, writer);
        return reply.type(NDJSON).send(Readable.from(lines, { objectMode: false }) as never);
      }
      const isText = type === 'text/plain';
      const write = (flow: FlowDump) => (isText ? writer.line(flow) : writer.json(flow));
      const texts = await ask(services, params.name, (it) =>
        inOrder(it.streamFlows(selection), isWanted, write),
      );
      const pieces = isText ? texts.pieces('') : enclosed('{"flows":[', texts.pieces(','), ']}');
      return reply
        .type(isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8')
        .send(Readable.from(pieces, { objectMode: false }) as never);
    },
  );

  app.post(
    URL,
    {
      attachValidation: true,
      bodyLimit: BODY_LIMIT,
      schema: {
        tags,
        operationId: 'changeFlows',
        summary: "Add flows, or modify users' own: all of them or, if one is refused, none",
        description:
          "As OpenFlow has it, a flow that is added takes the place of one with the same table, priority and match. Tables 0 to 63 are users'.",
        params: BridgeParams,
        querystring: FlowCommand,
        body: inEitherForm(FlowsInput),
        response: { 200: answer(Accepted, { description: 'The switch holds them' }), ...refusals },
      },
    },
    async (request) => {
      checkBody(request, []);
      const driver = driverOf(services, request.params.name);
      const names = portNames(driver.ports());
      const command = COMMANDS[request.query.command ?? 'add'];
      const entries = entriesOf(request.body, 'flows');
      const messages = messagesOf(entries, (value) => readFlow(value, command, names));
      await changeAsUser(
        driver,
        messages,
        entries.map(({ path }) => path),
      );
      return { accepted: messages.length };
    },
  );

  app.put(
    URL,
    {
      attachValidation: true,
      bodyLimit: BODY_LIMIT,
      schema: {
        tags,
        operationId: 'replaceFlows',
        summary: "Make these the users' flows, as ovs-ofctl replace-flows does: all at once, or nothing",
        description:
          'Flows that are there already stay untouched, with their counters. The same twice changes nothing.',
        params: BridgeParams,
        body: inEitherForm(FlowsInput),
        response: { 200: answer(Replaced, { description: 'The switch holds these' }), ...refusals },
      },
    },
    async (request) => {
      checkBody(request, []);
      const { name } = request.params;
      const driver = driverOf(services, name);
      const names = portNames(driver.ports());
      const entries = entriesOf(request.body, 'flows');
      const wanted = messagesOf(entries, (value) => readFlow(value, 'ADD', names));
      const have = await ask(services, name, (it) => gathered(it.streamFlows(), isUsers));
      const { messages, sources, ...counts } = replacement(have, wanted);
      await changeAsUser(
        driver,
        messages,
        sources.map((i) => (i === null ? '' : (entries[i]?.path ?? ''))),
      );
      return counts;
    },
  );

  app.delete(
    URL,
    {
      schema: {
        tags,
        operationId: 'removeFlows',
        summary: "Delete users' flows: all, or those that fit every criterion",
        description: "Whether there are any or not, none is there afterwards: 204. The programs' flows stay.",
        params: BridgeParams,
        querystring: FlowSelection,
        response: { 204: nothing('There are none such any more'), ...refusals },
      },
    },
    async ({ params, query }, reply) => {
      const driver = driverOf(services, params.name);
      const message = deleteOf(query, query.strict ?? false, portNames(driver.ports()));
      await changeAsUser(driver, [message]);
      return reply.code(204).send(null);
    },
  );
}

function isUsers({ owner, tableId }: FlowDump): boolean {
  return owner === null && tableId < 64;
}

/**
 * Those that are wanted, as texts in the order of tables and priorities. They are read over a connection of their own:
 * what the switch has to tell its program meanwhile waits behind none of it.
 * @throws ProblemError 406 where they are too many
 */
async function inOrder(
  parts: AsyncIterable<readonly FlowDump[]>,
  isWanted: (flow: FlowDump) => boolean,
  write: (flow: FlowDump) => string,
): Promise<Sheaf> {
  const texts = new Sheaf();
  for await (const part of parts) {
    for (const flow of part)
      if (isWanted(flow)) texts.add(flow.tableId * 65_536 - flow.priority, write(flow));
    if (texts.count <= MOST_SORTED) continue;
    const advice = `there are more than ${MOST_SORTED} flows: have them as ${NDJSON}, or choose by table, cookie, match, owner`;
    throw new ProblemError(406, 'too-many-flows', 'Too many flows for this form', advice);
  }
  return texts;
}

async function gathered(
  parts: AsyncIterable<readonly FlowDump[]>,
  isWanted: (flow: FlowDump) => boolean,
): Promise<FlowDump[]> {
  const flows: FlowDump[] = [];
  for await (const part of parts) for (const flow of part) if (isWanted(flow)) flows.push(flow);
  return flows;
}

async function* ndjson(
  first: IteratorResult<FlowDump[]>,
  rest: ReturnType<SwitchDriver['streamFlows']>,
  isWanted: (flow: FlowDump) => boolean,
  writer: FlowWriter,
): AsyncGenerator<string> {
  const lines = (part: FlowDump[]) =>
    part
      .filter(isWanted)
      .map((flow) => `${writer.json(flow)}\n`)
      .join('');
  try {
    if (first.done !== true) yield lines(first.value);
    for await (const part of rest) yield lines(part);
  } finally {
    await rest.return(undefined);
  }
}

function* enclosed(before: string, pieces: Iterable<Buffer>, after: string): Generator<string | Buffer> {
  yield before;
  yield* pieces;
  yield after;
}
