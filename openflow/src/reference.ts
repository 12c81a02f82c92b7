/** The reference in Markdown, from the declarations. Written to docs/reference.md by scripts/reference.mjs. */

import type { AnyCodec, Schema, StructSchema } from './codec/codec.js';
import { errorCodes } from './codec/error-codes.js';
import { Action } from './messages/actions.js';
import { Bucket } from './messages/groups.js';
import { HelloElement } from './messages/handshake.js';
import { Instruction } from './messages/instructions.js';
import { messageCases } from './messages/message.js';
import { MeterBand } from './messages/meters.js';
import { MultipartReplyBody, MultipartRequestBody } from './messages/multipart.js';
import { ControllerProperty } from './messages/nicira-actions.js';
import { PacketInProperty } from './messages/experimenter.js';
import { PacketQueue, QueueProperty } from './messages/queues.js';
import { PortDesc } from './messages/ports.js';
import { TableFeatures, TableProperty } from './messages/table-features.js';
import { oxmFields, type OxmField } from './oxm/fields.js';

interface Section {
  readonly title: string;
  readonly codecs: readonly AnyCodec[];
}

const casesOf = ({ schema }: AnyCodec): readonly AnyCodec[] =>
  schema.kind === 'union' ? schema.variants : [];

const sections: readonly Section[] = [
  { title: 'Messages', codecs: messageCases.map(([, codec]) => codec) },
  { title: 'Instructions', codecs: casesOf(Instruction) },
  { title: 'Actions', codecs: casesOf(Action) },
  { title: 'Multipart requests', codecs: casesOf(MultipartRequestBody) },
  { title: 'Multipart replies', codecs: casesOf(MultipartReplyBody) },
  { title: 'Table feature properties', codecs: [TableFeatures, ...casesOf(TableProperty)] },
  { title: 'Meter bands', codecs: casesOf(MeterBand) },
  { title: 'Queue properties', codecs: [PacketQueue, ...casesOf(QueueProperty)] },
  { title: 'Hello elements', codecs: casesOf(HelloElement) },
  { title: 'Properties of NX_CONTROLLER2', codecs: casesOf(ControllerProperty) },
  { title: 'Properties of NX_PACKET_IN2 and NX_RESUME', codecs: casesOf(PacketInProperty) },
];

/** All of docs/reference.md. */
export function referenceOf(): string {
  const names = new Map<string, Extract<Schema, { kind: 'enum' | 'flags' }>>();
  const structs = new Map<string, StructSchema>(
    [PortDesc, Bucket].map(({ schema }) => [schema.name, schema]),
  );
  const written = new Set<string>();
  for (const { codecs } of sections) for (const codec of codecs) collect(codec, names, structs, written);

  const out = [
    '# Reference of node-openflow',
    '',
    'Generated from the declarations in `src/messages` and `src/oxm`; do not edit. Offsets are bytes from the start of the',
    'structure; sizes that vary are left open. Hidden fields (padding, lengths, constants) are in italics: they are filled in',
    'when encoding and checked or skipped when decoding. A default makes a field optional for `encode`.',
    '',
  ];
  for (const { title, codecs } of sections) {
    out.push(`## ${title}`, '');
    for (const codec of codecs) if (codec.schema.kind === 'struct') out.push(...structTable(codec.schema));
  }
  const topLevel = new Set(
    sections.flatMap(({ codecs }) => codecs.map(({ schema }) => (schema as StructSchema).name)),
  );
  out.push('## Structures within messages', '');
  for (const [name, schema] of structs) if (!topLevel.has(name)) out.push(...structTable(schema));
  out.push('## Match fields', '', ...fieldTable());
  out.push('## Enumerations and flags', '', 'Values without a name are numbers.', '');
  for (const [name, schema] of [...names].sort(([a], [b]) => (a < b ? -1 : 1)))
    out.push(...nameTable(name, schema));
  out.push('## Errors', '', ...errorTable());
  return `${out.join('\n').trimEnd()}\n`;
}

/** Finds the enumerations and the inner structs that a declaration uses. */
function collect(
  codec: AnyCodec,
  names: Map<string, Extract<Schema, { kind: 'enum' | 'flags' }>>,
  structs: Map<string, StructSchema>,
  seen: Set<string>,
): void {
  const { schema } = codec;
  if (schema.kind === 'enum' || schema.kind === 'flags') names.set(schema.name, schema);
  if (schema.kind === 'list') collect(schema.item, names, structs, seen);
  if (schema.kind !== 'struct') return;
  if (schema.tag === undefined) structs.set(schema.name, schema);
  const id = `${schema.clause}/${schema.name}`;
  if (seen.has(id) && schema.tag === undefined) return;
  seen.add(id);
  for (const [, field] of schema.fields) collect(field, names, structs, seen);
}

function structTable(schema: StructSchema): string[] {
  const where = schema.clause === '' ? '' : ` (${/^[0-9]/.test(schema.clause) ? '§' : ''}${schema.clause})`;
  const out = [`### \`${schema.name}\`${where}`, '', schema.doc, ''];
  if (schema.fields.length === 0) return out;
  out.push('| offset | field | wire | default |', '|---|---|---|---|');
  let offset: number | undefined = 0;
  for (const [name, codec] of schema.fields) {
    const shown = name.startsWith('_') ? `*${name.slice(1)}*` : `\`${name}\``;
    out.push(`| ${offset ?? ''} | ${shown} | ${wire(codec)} | ${fallback(codec)} |`);
    offset = offset === undefined || codec.fixedSize === undefined ? undefined : offset + codec.fixedSize;
  }
  return [...out, ''];
}

function fallback(codec: AnyCodec): string {
  if (!('fallback' in codec)) return '';
  const value = codec.fallback;
  if (value instanceof Uint8Array) return 'empty';
  if (typeof value === 'bigint') return `\`0x${value.toString(16)}n\``;
  if (typeof value === 'number' && value > 0xff) return `\`0x${value.toString(16)}\``;
  return `\`${JSON.stringify(value).replaceAll('"', "'")}\``;
}

function wire({ schema }: AnyCodec): string {
  switch (schema.kind) {
    case 'uint':
      return `u${schema.bits}`;
    case 'enum':
      return `u${schema.bits} [${schema.name}](#${schema.name.toLowerCase()})`;
    case 'flags':
      return `u${schema.bits} flags [${schema.name}](#${schema.name.toLowerCase()})`;
    case 'pad':
      return `${schema.bytes} bytes of zeros`;
    case 'padTo':
      return 'zeros to a multiple of 8';
    case 'constant':
      return `u${schema.bits} = ${schema.value > 0xff ? `0x${schema.value.toString(16)}` : schema.value}`;
    case 'selfLength':
      return `u16, length of all this${schema.multiple > 1 ? `, a multiple of ${schema.multiple}` : ''}`;
    case 'lengthOf':
      return `u${schema.bits}, length of \`${schema.field}\``;
    case 'typeBefore':
      return schema.value === undefined ? 'u16, 8 bytes before' : `u16 = ${schema.value}, 8 bytes before`;
    case 'mac':
      return '6 bytes, MAC';
    case 'ipv4':
      return '4 bytes, IPv4';
    case 'ipv6':
      return '16 bytes, IPv6';
    case 'bytes':
      return schema.bytes === undefined ? 'bytes to the end' : `${schema.bytes} bytes`;
    case 'text':
      return `${schema.bytes} bytes of text`;
    case 'list':
      return `${schema.count === undefined ? 'list' : schema.count} of ${wire(schema.item)}`;
    case 'union':
      return `any ${schema.name}`;
    case 'custom':
      return schema.doc;
    case 'struct':
      return `[${schema.name}](#${schema.name})`;
  }
}

function fieldTable(): string[] {
  const out = [
    'Class 0x8000 is OF 1.3.5 §7.2.3.7; 0, 1 and 0x8001 are Nicira’s; 0xffff is an experimenter’s.',
    '',
    '| name | class | field | value | bits | mask | set-field | needs before it |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const field of Object.values(oxmFields as Readonly<Record<string, OxmField>>)) {
    const needs = field.prerequisites.map(({ field: needed, values }) =>
      values === undefined
        ? needed
        : `${needed}=${values.map((v) => (v > 0xff ? `0x${v.toString(16)}` : v)).join('/')}`,
    );
    const id = `0x${field.oxmClass.toString(16)}`;
    const by = field.experimenter === undefined ? '' : ` (0x${field.experimenter.toString(16)})`;
    out.push(
      `| \`${field.name}\` | ${id}${by} | ${field.field} | ${valueKind(field)} | ${field.bits} | ` +
        `${field.maskable ? 'yes' : ''} | ${field.settable ? 'yes' : ''} | ${needs.join(', ')} |`,
    );
  }
  return [...out, ''];
}

function valueKind({ codec }: OxmField): string {
  const { kind } = codec.schema;
  if (kind !== 'uint') return kind;
  return codec.schema.bits > 32 ? 'bigint' : 'number';
}

function nameTable(
  name: string,
  { kind, bits, values }: Extract<Schema, { kind: 'enum' | 'flags' }>,
): string[] {
  const list = Object.entries(values).map(
    ([key, value]) => `\`${key}\` ${kind === 'flags' || value > 0xff ? `0x${value.toString(16)}` : value}`,
  );
  return [`### ${name}`, '', `u${bits}${kind === 'flags' ? ' flags' : ''}: ${list.join(', ')}`, ''];
}

function errorTable(): string[] {
  const out = ['| type | | codes |', '|---|---|---|'];
  for (const [name, { value, codes }] of Object.entries(errorCodes)) {
    const list = Object.entries(codes).map(([code, n]) => `${n} \`${code}\``);
    out.push(`| \`${name}\` | ${value} | ${list.join(', ')} |`);
  }
  return [...out, ''];
}
