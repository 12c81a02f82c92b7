/** The schema of configuration documents, for validation, for editors and for the API's description. */
import { Type } from 'typebox';
import type { TProperties, TSchema } from 'typebox';
import {
  BRIDGE_SETTINGS,
  CONTROLLER_SETTINGS,
  INTERFACE_SETTINGS,
  NAME_PATTERN,
  PORT_SETTINGS,
  SHARED_WORDS,
  StationMac,
  Target,
  VlanId,
  flatWord,
} from './settings.js';
import { attachmentProperties } from './attachments.js';
import type { Setting } from './settings.js';

const strict = { additionalProperties: false };
const orNull = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()]);

/** Every setting may be left out or be null, which is the same: its default. */
function properties(settings: readonly Setting[], nameOf = (word: string) => word): TProperties {
  return Object.fromEntries(
    settings.map(({ word, schema }) => {
      const text = SHARED_WORDS.has(word)
        ? Type.Record(Type.String(), orNull(Type.Union([Type.String(), Type.Number(), Type.Boolean()])), {
            description: (schema as { description?: string }).description ?? '',
          })
        : schema;
      return [nameOf(word), Type.Optional(orNull(text))];
    }),
  );
}

const Name = Type.String({ pattern: NAME_PATTERN });
const named = (schema: TSchema, description: string): TSchema =>
  Type.Record(Name, orNull(schema), { ...strict, description });

const Member = Type.Object(properties(INTERFACE_SETTINGS), strict);

const Port = Type.Object(
  {
    ...properties(PORT_SETTINGS),
    interfaces: Type.Optional(
      Type.Union(
        [
          Type.Array(Name, { minItems: 1, maxItems: 64, uniqueItems: true }),
          Type.Record(Name, orNull(Member), { ...strict, minProperties: 1, maxProperties: 64 }),
        ],
        {
          description:
            'Interfaces of a bond, as a list of names or each with its settings; left out: one interface of the port’s name',
        },
      ),
    ),
    ...properties(INTERFACE_SETTINGS, flatWord),
  },
  {
    ...strict,
    description: 'A port. Settings of its interface stand beside its own, unless it has interfaces by name',
  },
);

const Controller = Type.Union([
  Target,
  Type.Object({ target: Target, ...properties(CONTROLLER_SETTINGS) }, strict),
]);

const StaticMac = Type.Object(
  { vlan: VlanId, mac: StationMac, port: Name },
  { ...strict, description: 'Never learned elsewhere, never aged' },
);

const Bridge = Type.Object(
  {
    ...properties(BRIDGE_SETTINGS),
    controllers: Type.Optional(
      orNull(
        Type.Array(Controller, { maxItems: 64, description: "Users' OpenFlow controllers and listeners" }),
      ),
    ),
    staticMacs: Type.Optional(
      orNull(Type.Array(StaticMac, { maxItems: 65_536, description: 'Addresses pinned to a port' })),
    ),
    ...attachmentProperties(),
    ports: Type.Optional(orNull(named(Port, 'Ports by name. The bridge’s own port need not be mentioned'))),
  },
  strict,
);

const Keep = Type.Optional(
  orNull(
    Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      maxItems: 256,
      description:
        'Bridges and ports of these names stay as they are although the document does not name them: those that other programs make. * stands for any characters',
      examples: [['vnet*', 'tap*']],
    }),
  ),
);

export const ConfigDocument = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors' })),
    keep: Keep,
    bridges: orNull(named(Bridge, 'Bridges by name')),
  },
  { ...strict, description: 'The configuration of the switch, whole' },
);

/** As published: JSON Schema 2020-12. */
export function publishedSchema(): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:weft:schema:config:1',
    title: 'Weft configuration',
    ...(JSON.parse(JSON.stringify(ConfigDocument)) as object),
  };
}
