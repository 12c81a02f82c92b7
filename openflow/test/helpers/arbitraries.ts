/**
 * Generators made from the declarations themselves: what `schema` says a field is, is what gets generated. So a new
 * message is covered by the property tests the moment it is declared.
 */

import fc, { type Arbitrary } from 'fast-check';
import { oxmFields, type AnyCodec, type OxmField, type Schema } from '../../src/index.js';

const uintArbitrary = (bits: number): Arbitrary<unknown> =>
  bits > 32
    ? fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n })
    : fc.oneof(fc.integer({ min: 0, max: 2 ** bits - 1 }), fc.constantFrom(0, 2 ** bits - 1));

const hexByte = fc.integer({ min: 0, max: 255 }).map((n) => n.toString(16).padStart(2, '0'));
const macArbitrary = fc.array(hexByte, { minLength: 6, maxLength: 6 }).map((bytes) => bytes.join(':'));
const ipv4Arbitrary = fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }).map((bytes) => bytes.join('.'));
/** Few distinct groups, so that runs of zeros, which print as `::`, are common. */
const ipv6Arbitrary = fc
  .array(fc.constantFrom(0, 0, 1, 0xabcd, 0xffff), { minLength: 8, maxLength: 8 })
  .map((groups) => {
    const text = groups.map((g) => g.toString(16)).join(':');
    const host = new URL(`http://[${text}]/`).hostname; // WHATWG URLs print RFC 5952.
    return host.slice(1, -1);
  });

/** Values of an OXM field that fit its bits on the wire. */
function oxmValue(field: OxmField): Arbitrary<unknown> {
  const { schema } = field.codec;
  return schema.kind === 'uint' ? uintArbitrary(field.bytes * 8) : arbitrary(field.codec);
}

const fieldEntry = (masks: boolean): Arbitrary<readonly [string, unknown]> =>
  fc.constantFrom(...Object.values(oxmFields as Readonly<Record<string, OxmField>>)).chain((field) => {
    const value = oxmValue(field);
    const masked = fc.record({ value, mask: oxmValue(field) });
    const either = masks && field.maskable ? fc.oneof(value, masked) : value;
    return either.map((v) => [field.name, v] as const);
  });

const unknownEntry: Arbitrary<readonly [string, unknown]> = fc
  .record({
    field: fc.integer({ min: 64, max: 127 }),
    hex: fc.uint8Array({ maxLength: 20 }),
    masked: fc.boolean(),
  })
  .map(({ field, hex, masked }) => {
    const value = Buffer.from(hex).toString('hex');
    return [`unknown_8000_${field.toString(16)}`, masked ? { value, mask: value } : value] as const;
  });

const matchArbitrary = fc
  .uniqueArray(fc.oneof({ weight: 9, arbitrary: fieldEntry(true) }, { weight: 1, arbitrary: unknownEntry }), {
    maxLength: 6,
    selector: ([name]) => name,
  })
  .map((entries) => Object.fromEntries(entries));

const fieldName = fc.constantFrom(...Object.keys(oxmFields));

const learnField = fc.record({ field: fieldName, offset: uintArbitrary(16) });
const learnSpec = fc.integer({ min: 1, max: 128 }).chain((bits) => {
  const words = 2 * Math.ceil(bits / 16);
  const value = fc
    .uint8Array({ minLength: words, maxLength: words })
    .map((v) => Buffer.from(v).toString('hex'));
  return fc.record({
    bits: fc.constant(bits),
    source: fc.oneof(learnField, fc.record({ value })),
    destination: fc.oneof(
      fc.record({ type: fc.constantFrom('MATCH', 'LOAD'), field: fieldName, offset: uintArbitrary(16) }),
      fc.constant({ type: 'OUTPUT' }),
    ),
  });
});

const custom: Readonly<Record<string, () => Arbitrary<unknown>>> = {
  match: () => matchArbitrary,
  oxms: () => matchArbitrary,
  oxm: () => fieldEntry(true).map((entry) => Object.fromEntries([entry])),
  field: () => fieldName,
  short_field: () =>
    fc.constantFrom(
      ...Object.values<OxmField>(oxmFields as never)
        .filter((f) => f.experimenter === undefined)
        .map((f) => f.name),
    ),
  oxm_id: () =>
    fc
      .constantFrom(...Object.values(oxmFields as Readonly<Record<string, OxmField>>))
      .chain((field) => fc.record({ field: fc.constant(field.name), hasMask: fc.boolean() })),
  learn_specs: () => fc.array(learnSpec, { maxLength: 4 }),
  error_code: () => uintArbitrary(16),
  actions: () => fc.constant([{ type: 'POP_VLAN' }, { type: 'OUTPUT', port: 1, maxLength: 0 }]),
};

type Flags = Extract<Schema, { kind: 'flags' | 'enum' }>;

function flagsArbitrary({ bits, values }: Flags): Arbitrary<unknown> {
  // Any number decodes to one list only: names in order of bits, then what is left. So start from the number.
  return uintArbitrary(bits).map((n) => {
    let rest = n as number;
    const set: (string | number)[] = [];
    for (const [name, bit] of Object.entries(values)) {
      if ((rest & bit) === 0) continue;
      set.push(name);
      rest = (rest & ~bit) >>> 0;
    }
    return rest === 0 ? set : [...set, rest];
  });
}

function structArbitrary(schema: Extract<Schema, { kind: 'struct' }>): Arbitrary<unknown> {
  const fields = schema.fields.filter(([name]) => !name.startsWith('_'));
  const multiple = Math.max(
    1,
    ...schema.fields.map(([, c]) => (c.schema.kind === 'selfLength' ? c.schema.multiple : 1)),
  );
  const fixed = schema.fields.reduce((sum, [, c]) => sum + (c.fixedSize ?? 0), 0);
  const shape = Object.fromEntries(fields.map(([name, codec]) => [name, filling(codec, multiple, fixed)]));
  return fc.record(shape).map((value) => {
    const { errorType } = value as { readonly errorType?: unknown };
    // 0xffff is the experimenter's error, another struct; and codes are named by their type.
    const named =
      typeof errorType === 'number' || errorType === undefined ? value : { ...value, code: 0xfff0 };
    return schema.tag === undefined ? named : { type: schema.tag, ...named };
  });
}

/** A field whose bytes make the struct, `fixed` bytes without it, as long a `multiple` as it must be. */
function filling(codec: AnyCodec, multiple: number, fixed: number): Arbitrary<unknown> {
  const { schema } = codec;
  if (multiple === 1) return arbitrary(codec);
  if (schema.kind === 'bytes' && schema.bytes === undefined) return bytesFilling(multiple, fixed);
  if (schema.kind === 'list' && schema.item.schema.kind === 'uint') {
    const size = schema.item.fixedSize ?? 1;
    return bytesFilling(multiple, fixed).map((b) =>
      Array.from({ length: b.length / size }, (_, i) => b[i] ?? 0),
    );
  }
  return arbitrary(codec);
}

const bytesFilling = (multiple: number, after: number): Arbitrary<Uint8Array> =>
  fc.nat(5).chain((n) => {
    const length = n * multiple + ((multiple - (after % multiple)) % multiple);
    return fc.uint8Array({ minLength: length, maxLength: length });
  });

/** Values of a declaration that decode to themselves after encoding. */
export function arbitrary(codec: AnyCodec): Arbitrary<unknown> {
  const { schema } = codec;
  switch (schema.kind) {
    case 'uint':
      return uintArbitrary(schema.bits);
    case 'enum': {
      const known = new Set(Object.values(schema.values));
      const unnamed = fc.nat(2 ** schema.bits - 2).filter((n) => !known.has(n));
      return fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...Object.keys(schema.values)) }, unnamed);
    }
    case 'flags':
      return flagsArbitrary(schema);
    case 'mac':
      return macArbitrary;
    case 'ipv4':
      return ipv4Arbitrary;
    case 'ipv6':
      return ipv6Arbitrary;
    case 'text':
      return fc.string({ unit: fc.constantFrom(...'abcXYZ09-._ é'), maxLength: (schema.bytes ?? 32) / 2 });
    case 'bytes': {
      const { bytes, multiple, after } = schema;
      if (bytes !== undefined) return fc.uint8Array({ minLength: bytes, maxLength: bytes });
      return multiple === 1 ? fc.uint8Array({ maxLength: 48 }) : bytesFilling(multiple, after);
    }
    case 'list': {
      const { count } = schema;
      const size = count === undefined ? { maxLength: 3 } : { minLength: count, maxLength: count };
      return fc.array(arbitrary(schema.item), size);
    }
    case 'union':
      return fc.oneof(...schema.variants.filter((variant) => !isUnknown(variant)).map(arbitrary));
    case 'struct':
      return structArbitrary(schema);
    case 'custom': {
      const make = custom[schema.name];
      if (make === undefined) throw new Error(`no generator for ${schema.name}`);
      return make();
    }
    default:
      return fc.constant(undefined);
  }
}

/** The case for undefined types: any number would do but those that are defined, so the vectors cover it instead. */
function isUnknown(codec: AnyCodec): boolean {
  return codec.schema.kind === 'struct' && codec.schema.tag === 'unknown';
}
