/** /v1/bridges/{name}/trace: the way of a frame through the tables, without sending it. */
import { OfctlSyntaxError, OpenFlowEncodeError, checkMatch, parseMatch } from 'node-openflow';
import type { Match, PortNames } from 'node-openflow';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { FrameError, explainTrace, frameOf, traceText } from '../../observe/index.js';
import type { TraceNames } from '../../observe/index.js';
import { answer } from '../answers.js';
import { checkBody } from '../body.js';
import { askDatapath, portNamesOf } from '../datapath.js';
import { negotiate } from '../negotiation.js';
import { TraceRequest, TraceView } from '../observe-schemas.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import type { BodyFault } from '../problems.js';
import { BridgeParams, Problem } from '../schemas.js';
import type { Services } from '../services.js';
import { bridgeOf } from '../views.js';

const WAYS = ['flow', 'match', 'frame', 'lastDropped'] as const;

export function traceRoutes(app: App, services: Services): void {
  app.post(
    '/v1/bridges/:name/trace',
    {
      attachValidation: true,
      config: { scope: 'read' },
      schema: {
        tags: ['observe'],
        summary: 'Where a frame would go and why; nothing is sent or counted. text/plain: for people',
        params: BridgeParams,
        body: TraceRequest,
        response: {
          200: answer(TraceView, { description: 'The way', also: { 'text/plain': Type.String() } }),
          409: Problem,
          503: Problem,
        },
      },
    },
    async (request, reply) => {
      checkBody(request, traceFaults(request.body));
      const { name, connection } = bridgeOf(services, request.params.name);
      if (connection.kind !== 'weft') {
        throw new ProblemError(
          409,
          'foreign-switch',
          'It is not our switch',
          `${name} lies on a switch that cannot trace by OpenFlow: ask that switch`,
        );
      }
      const names = namesOf(services, name);
      const { inPort, frame } = await frameWanted(services, name, request.body, names.ports);
      const hex = Buffer.from(frame).toString('hex');
      const told = await askDatapath(services, name, () =>
        services.switches.ask('trace', { bridge: name, inPort, frame: hex }),
      );
      const trace = explainTrace(told, { bridge: name, inPort, frame }, names);
      const type = negotiate(request.headers.accept, ['application/json', 'text/plain']);
      return type === 'text/plain' ? sendText(reply, traceText(trace)) : trace;
    },
  );
}

function sendText(reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/plain; charset=utf-8').serializer(String).send(text);
}

/** Exactly one way to say which frame. */
function traceFaults(body: unknown): BodyFault[] {
  if (typeof body !== 'object' || body === null) return [];
  const given = WAYS.filter((way) => (body as Record<string, unknown>)[way] !== undefined);
  const faults: BodyFault[] = [];
  if (given.length === 0) faults.push({ path: '', message: `one of ${WAYS.join(', ')} is wanted` });
  for (const way of given.slice(1)) faults.push({ path: `/${way}`, message: `does not go with ${given[0]}` });
  const { inPort } = body as Record<string, unknown>;
  if (inPort === undefined && given[0] !== 'flow') faults.push({ path: '/inPort', message: 'is required' });
  return faults;
}

/** Ports, owners and tables of a bridge by name. */
function namesOf(services: Services, bridge: string): TraceNames {
  const driver = services.switches.driver(bridge);
  return {
    ports: portNamesOf(services, bridge),
    owner: (flow) => driver?.owner(flow) ?? null,
    table: (id) => driver?.table(id) ?? null,
  };
}

async function frameWanted(
  services: Services,
  bridge: string,
  request: TraceRequest,
  ports: PortNames,
): Promise<{ inPort: number; frame: Uint8Array }> {
  const { flow, frame, lastDropped, length } = request;
  if (frame !== undefined) {
    return { inPort: portNumber(request.inPort, ports, bridge), frame: Buffer.from(frame, 'hex') };
  }
  if (lastDropped !== undefined) {
    const inPort = portNumber(request.inPort, ports, bridge);
    return { inPort, frame: await lastDroppedFrame(services, bridge, inPort, request) };
  }
  const at = flow === undefined ? '/match' : '/flow';
  const match = flow === undefined ? exactMatch(request.match ?? {}) : matchOfWords(flow, ports);
  const named = match['in_port' as keyof Match] as number | undefined;
  if (request.inPort === undefined && named === undefined)
    fault('/flow', 'says no in_port=NAME, and there is no inPort');
  try {
    return { inPort: named ?? portNumber(request.inPort, ports, bridge), frame: frameOf(match, length) };
  } catch (error) {
    if (error instanceof FrameError || error instanceof OpenFlowEncodeError) fault(at, error.message);
    throw error;
  }
}

async function lastDroppedFrame(
  services: Services,
  bridge: string,
  ofport: number,
  { inPort, lastDropped }: TraceRequest,
): Promise<Uint8Array> {
  const all = await askDatapath(services, bridge, () => services.switches.ask('drops.last', { bridge }));
  const [dropped] = all
    .filter((each) => each.ofport === ofport && (lastDropped === true || each.reason === lastDropped))
    .sort((a, b) => a.agoMs - b.agoMs);
  if (dropped) {
    const head = Buffer.from(dropped.frame, 'hex');
    // Only the beginning was kept; meters and lengths are about the whole.
    return Buffer.concat([head, Buffer.alloc(Math.max(0, dropped.length - head.length))]);
  }
  const what = lastDropped === true ? '' : ` for ${String(lastDropped)}`;
  throw new ProblemError(
    404,
    'none-dropped',
    'No such frame',
    `no frame that came in by ${inPort ?? ''} was dropped${what}`,
  );
}

function portNumber(name: string | undefined, ports: PortNames, bridge: string): number {
  const ofport = name === undefined ? undefined : ports.byName(name);
  return ofport ?? fault('/inPort', `bridge ${bridge} has no port ${name ?? ''}`);
}

function matchOfWords(text: string, ports: PortNames): Match {
  try {
    return parseMatch(text, ports);
  } catch (error) {
    if (error instanceof OfctlSyntaxError) return fault('/flow', error.message);
    throw error;
  }
}

function exactMatch(match: Record<string, unknown>): Match {
  for (const [name, value] of Object.entries(match)) {
    const path = `/match/${name}`;
    try {
      // By itself: what a field needs beside it, the frame tells. Values that cannot be encoded are errors here.
      const wrong = checkMatch({ [name]: value } as Match, { openVSwitch: true });
      if (wrong && wrong.code !== 'BAD_PREREQ') fault(path, wrong.reason);
    } catch (error) {
      if (error instanceof OpenFlowEncodeError) fault(path, error.message);
      throw error;
    }
  }
  return match as Match;
}

function fault(path: string, message: string): never {
  throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, [{ path, message }]);
}
