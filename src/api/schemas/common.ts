/** What the schemas of several resources share. Each component stands once in the OpenAPI document, under its name. */
import { Type } from 'typebox';
import type { Static, TProperties, TSchema } from 'typebox';

/** A string of these; ajv's own `enum`, whose message names the choices. */
export function word<const T extends readonly string[]>(choices: T, options: object = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: choices, ...options });
}

export const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const readOnly = { readOnly: true };
/** No members but these. */
export const strict = { additionalProperties: false };

const components = new Map<string, TSchema>();

/** Gives the schema a name in the document; what comes back refers to it, and has its type. */
export function component<T extends TSchema>(name: string, schema: T) {
  components.set(name, { ...schema, $id: name });
  const ref = { $ref: `${name}#` };
  return Type.Unsafe<Static<T>>(ref) as ReturnType<typeof Type.Unsafe<Static<T>>> & typeof ref;
}

/** Every component, to be made known to Fastify before the routes are. */
export function allComponents(): TSchema[] {
  return [...components.values()];
}

/** An object all of whose members may be left out; null takes one away (RFC 7396). */
export function patchOf(properties: TProperties, examples: unknown[]) {
  const patched = Object.entries(properties).map(([key, schema]) => [key, Type.Optional(orNull(schema))]);
  return Type.Unsafe<Record<string, unknown>>(
    Type.Object(Object.fromEntries(patched) as TProperties, { ...strict, examples }),
  );
}

export const INTERFACE_NAME = '^[^\\s/:]{1,15}$';
export const InterfaceName = Type.String({
  pattern: INTERFACE_NAME,
  not: { enum: ['.', '..'] },
  description: 'The name of a Linux network interface: 1 to 15 characters, no blank, slash or colon',
  examples: ['br0'],
});
/** What the datapath takes: the name goes into those of sockets, too. */
export const BRIDGE_NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.@-]{1,15}$/;
export const BridgeName = Type.String({
  pattern: BRIDGE_NAME.source,
  description: 'The name of a bridge: 1 to 15 letters, digits, hyphens, underscores, dots and @',
  examples: ['br0'],
});
/** The I/G bit is clear: one station's. */
export const StationMac = Type.String({
  pattern: '^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$',
  description: 'A unicast Ethernet address',
  examples: ['02:00:00:00:00:01'],
});
export const VlanId = Type.Integer({ minimum: 0, maximum: 4095, description: 'VLAN id' });
export const VlanList = Type.Array(VlanId, { maxItems: 4096, uniqueItems: true });

const Texts = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string', maxLength: 4096 },
  maxProperties: 256,
});
/** Settings of every bridge, port and interface for which the API has no name of its own. */
export const annotations = {
  otherConfig: Type.Unsafe<Record<string, string>>({
    ...Texts,
    description:
      'Other keys of other_config (ovs-vswitchd.conf.db(5)); left out of a PUT: they stay as they are',
    examples: [{ 'lacp-time': 'fast' }],
  }),
  externalIds: Type.Unsafe<Record<string, string>>({
    ...Texts,
    description: 'external_ids, for whoever manages this; left out of a PUT: they stay as they are',
    examples: [{ vm: 'db1' }],
  }),
};
/** Settings of a PUT or POST: each may be left out. */
export function optional<P extends TProperties>(properties: P) {
  return Object.fromEntries(
    Object.entries(properties).map(([key, schema]) => [key, Type.Optional(schema)]),
  ) as { [K in keyof P]: ReturnType<typeof Type.Optional<P[K]>> };
}

export const Pending = Type.Optional(
  orNull(
    Type.String({
      ...readOnly,
      description: 'Why the switch does not forward so yet; null or absent: it does',
    }),
  ),
);

/** The body of 202 where nothing is left to show. */
export const PendingView = component('Pending', Type.Object({ pending: Type.String() }));

/** Cuts a list into pages; see `paging.ts`. */
export const Paging = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, description: 'At most so many; left out: all' }),
  ),
  after: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      description: 'Only what comes after this one: the value in `next` of the page before',
    }),
  ),
};
export const Next = orNull(
  Type.String({ description: 'The URL of the next page; null: this is the last one' }),
);

export const NamePattern = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 40,
    description: 'Only these names; `*` and `?` stand for others',
    examples: ['eth*'],
  }),
);

/** RFC 9110 §13.1. */
export const WriteConditions = Type.Object({
  'if-match': Type.Optional(
    Type.String({
      description:
        'Only if the resource still has this ETag (from an answer that showed it); else 412. `*`: only if it exists',
      examples: ['"3q2-7wAAAAAAAAAAAAAAAA"'],
    }),
  ),
  'if-none-match': Type.Optional(
    Type.String({ description: '`*`: only if there is no such resource yet; else 412', examples: ['*'] }),
  ),
});
export const ReadConditions = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({ description: 'An ETag: 304 where the configuration is still that one' }),
  ),
});

/** RFC 9457. */
export const Problem = component(
  'Problem',
  Type.Object(
    {
      type: Type.String({ description: 'urn:weft:problem:<code>' }),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.Optional(Type.String()),
      errors: Type.Optional(
        Type.Array(
          Type.Object({
            path: Type.String({ description: 'JSON pointer into the body, or `?parameter`' }),
            message: Type.String(),
            openflow: Type.Optional(
              Type.String({
                description: "The switch's own error, type and code (OpenFlow 1.3.5 §7.4.4)",
                examples: ['FLOW_MOD_FAILED OVERLAP'],
              }),
            ),
          }),
        ),
      ),
    },
    {
      description: 'A problem (RFC 9457)',
      examples: [
        {
          type: 'urn:weft:problem:invalid',
          title: 'The request is not valid',
          status: 400,
          errors: [{ path: '/tag', message: 'must be <= 4095' }],
        },
      ],
    },
  ),
);

const name = Type.String({ minLength: 1, maxLength: 255, description: 'The bridge', examples: ['br0'] });
const port = Type.String({ minLength: 1, maxLength: 255, description: 'The port', examples: ['tap2'] });
export const BridgeParams = Type.Object({ name });
export const PortParams = Type.Object({ name, port });
export const InterfaceParams = Type.Object({
  name,
  port,
  interface: Type.String({ minLength: 1, maxLength: 255, description: 'The interface', examples: ['eth1'] }),
});
