/** /v1/bridges/{name}/mirrors */
import {
  mapOfTexts,
  mirrorRow,
  mirrorRows,
  mirrorSpecOf,
  putMirror,
  removeMirror,
  textOf,
  type Spec,
} from '../../config/index.js';
import type { Database } from '../../ovsdb/index.js';
import { answer, notModified, removed } from '../answers.js';
import { checkBody, patched } from '../body.js';
import { checkConditions, etagOf, isKnown } from '../etag.js';
import { nameFaults } from '../faults.js';
import type { App } from '../plugin.js';
import type { BodyFault } from '../problems.js';
import {
  BridgeParams,
  MirrorParams,
  MirrorPatch,
  MirrorSettings,
  MirrorView,
  MirrorsView,
  Problem,
  ReadConditions,
  WriteConditions,
} from '../schemas.js';
import { waitForSwitch } from '../services.js';
import type { Services } from '../services.js';

const tags = ['observe'];
const shown = (description: string) => answer(MirrorView, { description, hasEtag: true });
const accepted = shown('Stored; the switch does not do so yet, `pending` says why');
const REPEATED = ['bridge', 'statistics', 'pending'];
const URL = '/v1/bridges/:name/mirrors';

interface Snapshot {
  readonly spec: Spec;
  readonly etag: string;
}

export function mirrorRoutes(app: App, services: Services): void {
  const { configuration } = services;

  app.get(
    URL,
    {
      schema: {
        tags,
        operationId: 'listMirrors',
        summary: 'The mirrors of a bridge, by name',
        params: BridgeParams,
        response: { 200: answer(MirrorsView, { description: 'The mirrors' }) },
      },
    },
    ({ params: { name } }) => {
      const { database } = configuration;
      const names = mirrorRows(database, name).map((row) => textOf(row, 'name') ?? '');
      return {
        mirrors: names.map((mirror) => viewOf(services, name, mirror, snapshotOf(database, name, mirror))),
      };
    },
  );

  app.get(
    `${URL}/:mirror`,
    {
      schema: {
        tags,
        operationId: 'getMirror',
        summary: 'One mirror',
        params: MirrorParams,
        headers: ReadConditions,
        response: { 200: shown('The mirror'), ...notModified },
      },
    },
    async ({ params: { name, mirror }, headers }, reply) => {
      const snapshot = snapshotOf(configuration.database, name, mirror);
      if (isKnown(reply, snapshot.etag, headers)) return reply.code(304).send(undefined);
      return viewOf(services, name, mirror, snapshot);
    },
  );

  app.put(
    `${URL}/:mirror`,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'putMirror',
        summary: 'Copy frames to a port (SPAN) or into a VLAN (RSPAN), or change what is copied',
        description: 'What the body leaves out is at its default afterwards. The same twice changes nothing.',
        params: MirrorParams,
        headers: WriteConditions,
        body: MirrorSettings,
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
      const { name, mirror } = request.params;
      const { body } = request;
      checkBody(request, [...pathFaults(mirror), ...nameFaults(body, mirror), ...mirrorFaults(body)]);
      let exists = false;
      const snapshot = await configuration.apply(
        (database) => {
          const before = mirrorRows(database, name).find((row) => textOf(row, 'name') === mirror);
          exists = before !== undefined;
          checkConditions(request.headers, before && snapshotOf(database, name, mirror).etag);
          return putMirror(database, name, mirror, body);
        },
        `api: set mirror ${mirror} of ${name}`,
        (database) => snapshotOf(database, name, mirror),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting !== null ? 202 : exists ? 200 : 201).header('etag', snapshot.etag);
      return viewOf(services, name, mirror, snapshot, waiting);
    },
  );

  app.patch(
    `${URL}/:mirror`,
    {
      attachValidation: true,
      schema: {
        tags,
        operationId: 'patchMirror',
        summary: 'Change some settings of a mirror (RFC 7396); null: back to the default',
        params: MirrorParams,
        headers: WriteConditions,
        consumes: ['application/merge-patch+json'],
        body: MirrorPatch,
        response: { 200: shown('As changed'), 202: accepted, 409: Problem, 412: Problem },
      },
    },
    async (request, reply) => {
      const { name, mirror } = request.params;
      checkBody(request, nameFaults(request.body, mirror));
      const snapshot = await configuration.apply(
        (database) => {
          const { spec, etag } = snapshotOf(database, name, mirror);
          checkConditions(request.headers, etag);
          const wanted = patched<Spec>(request, spec, MirrorSettings, REPEATED, mirrorFaults);
          return putMirror(database, name, mirror, wanted);
        },
        `api: change mirror ${mirror} of ${name}`,
        (database) => snapshotOf(database, name, mirror),
      );
      const waiting = await waitForSwitch(services, name);
      reply.code(waiting === null ? 200 : 202).header('etag', snapshot.etag);
      return viewOf(services, name, mirror, snapshot, waiting);
    },
  );

  app.delete(
    `${URL}/:mirror`,
    {
      schema: {
        tags,
        operationId: 'removeMirror',
        summary: 'Copy no more',
        description: 'Once more is answered 404, and changes nothing.',
        params: MirrorParams,
        headers: WriteConditions,
        response: {
          ...removed,
          412: Problem,
        },
      },
    },
    async ({ params: { name, mirror }, headers }, reply) => {
      await configuration.apply((database) => {
        checkConditions(headers, snapshotOf(database, name, mirror).etag);
        return removeMirror(database, name, mirror);
      }, `api: remove mirror ${mirror} of ${name}`);
      const waiting = await waitForSwitch(services, name);
      return waiting === null ? reply.code(204).send(null) : reply.code(202).send({ pending: waiting });
    },
  );
}

/** @throws IntentError "no-such-bridge", "no-such-mirror" */
function snapshotOf(database: Database, bridge: string, name: string): Snapshot {
  const row = mirrorRow(database, bridge, name);
  const spec = mirrorSpecOf(database, row);
  return { spec, etag: etagOf(row.uuid, spec) };
}

function viewOf(
  { configuration }: Services,
  bridge: string,
  name: string,
  { spec }: Snapshot,
  pending: string | null = null,
): MirrorView {
  const row = mirrorRows(configuration.database, bridge).find((each) => textOf(each, 'name') === name);
  const counted = row === undefined ? new Map<string, string>() : mapOfTexts(row, 'statistics');
  const of = (key: string) => Number(counted.get(key) ?? 0);
  return {
    ...(spec as unknown as MirrorView),
    bridge,
    statistics: { packets: of('tx_packets'), bytes: of('tx_bytes') },
    ...(pending === null ? {} : { pending }),
  };
}

/** What a schema cannot say. Never trusts the types of what it reads. */
function mirrorFaults(body: unknown): BodyFault[] {
  if (typeof body !== 'object' || body === null) return [];
  const { outputPort = null, outputVlan = null } = body as Record<string, unknown>;
  if (outputPort !== null && outputVlan !== null)
    return [{ path: '/outputVlan', message: 'there is an outputPort: one of the two' }];
  if (outputPort === null && outputVlan === null)
    return [{ path: '/outputPort', message: 'is wanted, or outputVlan' }];
  return [];
}

function pathFaults(name: string): BodyFault[] {
  return /^[^\s/]{1,64}$/.test(name)
    ? []
    : [{ path: '', message: `"${name}" in the path cannot be the name of a mirror` }];
}
