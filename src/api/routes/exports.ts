/** /v1/bridges/{name}/sflow, …/netflow, …/ipfix: who is told of a bridge's traffic. */
import {
  EXPORTS,
  exportRow,
  exportSpecOf,
  noExport,
  putExport,
  removeExport,
  type ExportKind,
  type Spec,
} from '../../config/index.js';
import type { Database } from '../../ovsdb/index.js';
import { answer, notModified, removed } from '../answers.js';
import { checkBody, patched } from '../body.js';
import { checkConditions, etagOf, isKnown } from '../etag.js';
import type { App } from '../plugin.js';
import type { BodyFault } from '../problems.js';
import {
  BridgeParams,
  EXPORT_SCHEMAS,
  Problem,
  ReadConditions,
  WriteConditions,
  isTarget,
  type ExportState,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';

const tags = ['observe'];
const REPEATED = ['bridge', 'status', 'pending'];

interface Snapshot {
  readonly spec: Spec;
  readonly etag: string;
}

export function exportRoutes(app: App, services: Services): void {
  for (const kind of ['sflow', 'netflow', 'ipfix'] as const) routesOf(app, services, kind);
}

function routesOf(app: App, services: Services, kind: ExportKind): void {
  const { configuration } = services;
  const { title } = EXPORTS[kind];
  const { settings, patch, view } = EXPORT_SCHEMAS[kind];
  const url = `/v1/bridges/:name/${kind}`;
  const shown = (description: string) => answer(view, { description, hasEtag: true });
  const accepted = shown('Stored; the switch does not do so yet, `pending` says why');
  const shownOf = (bridge: string, snapshot: Snapshot, pending: string | null = null) =>
    ({
      ...snapshot.spec,
      bridge,
      status: stateOf(services, bridge, kind),
      ...(pending === null ? {} : { pending }),
    }) as never;

  app.get(
    url,
    {
      schema: {
        tags,
        operationId: `get${title}`,
        summary: `Who is told of the bridge’s traffic by ${title}, and how that goes`,
        params: BridgeParams,
        headers: ReadConditions,
        response: { 200: shown('As configured, with the state of the collectors'), ...notModified },
      },
    },
    async ({ params: { name }, headers }, reply) => {
      const snapshot = found(configuration.database, name, kind);
      if (isKnown(reply, snapshot.etag, headers)) return reply.code(304).send(undefined);
      return shownOf(name, snapshot);
    },
  );

  app.put(
    url,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: `put${title}`,
        summary: `Tell collectors of the bridge’s traffic by ${title}`,
        description: 'What the body leaves out is at its default afterwards. The same twice changes nothing.',
        params: BridgeParams,
        headers: WriteConditions,
        body: settings,
        response: {
          200: shown('As set'),
          201: shown('It is at work'),
          202: accepted,
          409: Problem,
          412: Problem,
        },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      checkBody(request, targetFaults(request.body));
      let exists = false;
      const snapshot = await configuration.apply(
        (database) => {
          const before = snapshotOf(database, name, kind);
          exists = before !== null;
          checkConditions(request.headers, before?.etag);
          return putExport(database, name, kind, request.body);
        },
        `api: set ${title} of ${name}`,
        (database) => found(database, name, kind),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting !== null ? 202 : exists ? 200 : 201).header('etag', snapshot.etag);
      return shownOf(name, snapshot, waiting);
    },
  );

  app.patch(
    url,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: `patch${title}`,
        summary: `Change some settings of ${title} (RFC 7396); null: back to the default`,
        params: BridgeParams,
        headers: WriteConditions,
        consumes: ['application/merge-patch+json'],
        body: patch,
        response: { 200: shown('As changed'), 202: accepted, 409: Problem, 412: Problem },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      checkBody(request, targetFaults(request.body));
      const snapshot = await configuration.apply(
        (database) => {
          const { spec, etag } = found(database, name, kind);
          checkConditions(request.headers, etag);
          const wanted = patched<Spec>(request, spec, settings, REPEATED, targetFaults);
          return putExport(database, name, kind, wanted);
        },
        `api: change ${title} of ${name}`,
        (database) => found(database, name, kind),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting === null ? 200 : 202).header('etag', snapshot.etag);
      return shownOf(name, snapshot, waiting);
    },
  );

  app.delete(
    url,
    {
      schema: {
        tags,
        operationId: `remove${title}`,
        summary: `Tell nobody any more by ${title}; what is open is told first`,
        description: 'Once more is answered 404, and changes nothing.',
        params: BridgeParams,
        headers: WriteConditions,
        response: {
          ...removed,
          412: Problem,
        },
      },
    },
    async ({ params: { name }, headers }, reply) => {
      await configuration.apply((database) => {
        checkConditions(headers, found(database, name, kind).etag);
        return removeExport(database, name, kind);
      }, `api: remove ${title} of ${name}`);
      const waiting = await waitForSwitch(services, name);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
}

function snapshotOf(database: Database, bridge: string, kind: ExportKind): Snapshot | null {
  const row = exportRow(database, bridge, kind);
  if (row === undefined) return null;
  const spec = exportSpecOf(kind, row);
  return { spec, etag: etagOf(row.uuid, spec) };
}

/** @throws IntentError "no-such-bridge", "no-such-export" */
function found(database: Database, bridge: string, kind: ExportKind): Snapshot {
  const snapshot = snapshotOf(database, bridge, kind);
  if (snapshot === null) throw noExport(bridge, kind);
  return snapshot;
}

const UNKNOWN: ExportState = { active: false, refused: null, agent: null, counters: {}, collectors: [] };

function stateOf({ exporting }: Services, bridge: string, kind: ExportKind): ExportState {
  const { title } = EXPORTS[kind];
  const status = exporting.status(bridge).find(({ name, setId }) => name === title && setId === null);
  if (status === undefined) return UNKNOWN;
  const { isActive, refused, agent, counters, collectors } = status;
  return {
    active: isActive,
    refused,
    agent: agent && { ...agent },
    counters: { ...counters },
    collectors: collectors.map((each) => ({ ...each })),
  };
}

/** Never trusts the types of what it reads. */
function targetFaults(body: unknown): BodyFault[] {
  const targets = (body as { targets?: unknown } | null)?.targets;
  if (!Array.isArray(targets)) return [];
  return targets.flatMap((target, i): BodyFault[] =>
    typeof target !== 'string' || isTarget(target)
      ? []
      : [{ path: `/targets/${i}`, message: `"${target}" is none: HOST:PORT or [IPV6]:PORT` }],
  );
}
