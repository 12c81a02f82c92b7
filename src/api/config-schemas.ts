/** What goes over /v1/config apart from documents. */
import { Type } from 'typebox';
import type { ObjectChange } from '../config/document/index.js';
import type { Revision } from '../config/index.js';
import type { Outcome } from './declaration.js';

const Count = Type.Integer({ minimum: 0 });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

const RevisionView = Type.Object({
  revision: Type.Integer({ minimum: 1 }),
  time: Type.String({ format: 'date-time' }),
  who: Type.String({ description: 'api, ovs-vsctl, weftd, …' }),
  comment: Type.String(),
  summary: Type.Object(
    { added: Count, changed: Count, removed: Count },
    { description: 'Objects (bridges, ports, …) that differ from the revision before' },
  ),
});

const Value = Type.Unsafe<unknown>({ description: 'As documents have it; null: at its default' });

const Change = Type.Object({
  op: Type.Unsafe<'add' | 'remove' | 'change'>({ type: 'string', enum: ['add', 'remove', 'change'] }),
  kind: Type.Unsafe<ObjectChange['kind']>({
    type: 'string',
    enum: [
      ...['bridge', 'port', 'interface', 'controller', 'staticMac'],
      ...['mirror', 'sflow', 'netflow', 'ipfix'],
    ],
  }),
  path: Type.String({ description: 'Its place in a document (RFC 6901)' }),
  bridge: Type.String(),
  port: Type.Optional(Type.String()),
  name: Type.String(),
  fields: Type.Array(Type.Object({ field: Type.String(), from: Value, to: Value })),
});

const BridgeCost = Type.Object({
  bridge: Type.String(),
  flowAdds: Count,
  flowModifies: Count,
  flowDeletes: Count,
  groupAdds: Count,
  groupModifies: Count,
  groupDeletes: Count,
});

const Fault = Type.Object({
  path: Type.String({ description: 'Into the document (RFC 6901)' }),
  message: Type.String(),
  line: Type.Optional(Type.Integer({ minimum: 1 })),
  column: Type.Optional(Type.Integer({ minimum: 1 })),
});

export const ConfigOutcome = Type.Unsafe<Outcome>(
  Type.Object({
    changed: Type.Boolean(),
    dryRun: Type.Boolean(),
    revision: orNull(RevisionView),
    changes: Type.Array(Change),
    cost: Type.Array(BridgeCost, { description: 'OpenFlow messages, as worked out beforehand' }),
    applied: orNull(
      Type.Array(BridgeCost, { description: 'OpenFlow messages that it took; null: nothing was done' }),
    ),
    warnings: Type.Array(Fault, { description: 'What makes no sense, and did so before already' }),
    pending: orNull(Type.String({ description: 'Why the switch does not forward so yet; null: it does' })),
  }),
);

export const ConfigHistory = Type.Unsafe<{ revisions: Revision[] }>(
  Type.Object({ revisions: Type.Array(RevisionView) }),
);

export const ConfigDiff = Type.Unsafe<{ changes: ObjectChange[]; summary: Revision['summary'] }>(
  Type.Object({ changes: Type.Array(Change), summary: RevisionView.properties.summary }),
);

/** RFC 9457, with lines. */
export const ConfigProblem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Array(Fault)),
});
