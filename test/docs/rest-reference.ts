/** docs/rest-reference.md, from the OpenAPI document that the API gives of itself. */
import { cell } from './markdown.js';

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly readOnly?: boolean;
  readonly additionalProperties?: boolean | Schema;
  readonly $ref?: string;
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;
interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<
    Record<string, { readonly description?: string; readonly content?: Content }>
  >;
}
export interface OpenApi {
  readonly info: { readonly title: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

export function restReference(document: OpenApi): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.flatMap((method) =>
      methods[method] ? [{ path, method: method.toUpperCase(), operation: methods[method] }] : [],
    ),
  );
  const tagOf = (operation: Operation) => operation.tags?.[0] ?? 'other';
  const named = (document.tags ?? []).map(({ name }) => name);
  const tags = [...new Set([...named, ...operations.map(({ operation }) => tagOf(operation))])];
  const resolve = resolver(document);
  return [
    '# REST API: every route',
    'Made from the API’s own OpenAPI 3.1 document (`/openapi.json`); do not edit, run `npm run docs`.',
    'Bodies are JSON unless said otherwise. Every error is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) whose `errors` name all faults of a request at once, each with the place where it is.',
    ...tags.flatMap((tag) => {
      const list = operations.filter(({ operation }) => tagOf(operation) === tag);
      return list.length === 0
        ? []
        : [`## ${tag.charAt(0).toUpperCase()}${tag.slice(1)}`, ...list.map((each) => section(each, resolve))];
    }),
  ].join('\n\n');
}

type Resolve = (schema: Schema) => Schema;

function resolver({ components }: OpenApi): Resolve {
  const resolve: Resolve = (schema) => {
    const name = schema.$ref?.split('/').at(-1);
    const found = name === undefined ? undefined : components?.schemas?.[name];
    return found ? resolve(found) : schema;
  };
  return resolve;
}

function section(
  { path, method, operation }: { path: string; method: string; operation: Operation },
  resolve: Resolve,
): string {
  const parts = [`### ${method} ${path}`];
  if (operation.summary) parts.push(`${operation.summary.replace(/\.$/, '')}.`);
  if (operation.description) parts.push(operation.description);
  const parameters = (operation.parameters ?? []).filter(
    (each) => (each.in !== 'path' || each.description) ?? each.schema?.description,
  );
  if (parameters.length > 0) {
    const rows = parameters.map((each) => {
      const about = [
        each.description ?? each.schema?.description ?? '',
        each.required && each.in !== 'path' ? 'required' : '',
      ];
      return `| \`${each.name}\` | ${each.in} | ${cell(typeOf(each.schema ?? {}, resolve))} | ${cell(about.filter(Boolean).join('; '))} |`;
    });
    parts.push(['| parameter | in | type | |', '| - | - | - | - |', ...rows].join('\n'));
  }
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    parts.push(`Body, \`${type}\`:`, describe(schema ?? {}, resolve, true));
  }
  const rows = Object.entries(operation.responses ?? {}).map(([status, { description, content }]) => {
    const bodies = Object.entries(content ?? {}).map(
      ([type, { schema }]) => `\`${type}\`: ${shapeOf(schema ?? {}, resolve)}`,
    );
    const about = description === 'Default Response' ? '' : (description ?? '');
    return `| ${status} | ${cell([about, ...bodies].filter(Boolean).join('; '))} |`;
  });
  parts.push(['| answer | |', '| - | - |', ...rows].join('\n'));
  return parts.join('\n\n');
}

/** A table of members; for what is no object, its type. */
function describe(given: Schema, resolve: Resolve, isBody: boolean): string {
  const schema = resolve(given);
  const members = membersOf(schema, resolve).filter(([, member]) => !isBody || !member.readOnly);
  if (members.length === 0) return typeOf(schema, resolve);
  const required = requiredOf(schema, resolve);
  const rows = members.map(([name, member]) => {
    const notes = [
      required.has(name) ? 'required' : '',
      member.description ?? '',
      member.default === undefined ? '' : `default ${JSON.stringify(member.default)}`,
    ];
    return `| \`${name}\` | ${cell(typeOf(member, resolve))} | ${cell(notes.filter(Boolean).join('; '))} |`;
  });
  return ['| member | type | |', '| - | - | - |', ...rows].join('\n');
}

function membersOf(given: Schema, resolve: Resolve): [string, Schema][] {
  const schema = resolve(given);
  return [
    ...Object.entries(schema.properties ?? {}).map(([name, each]): [string, Schema] => [name, resolve(each)]),
    ...(schema.allOf ?? []).flatMap((each) => membersOf(each, resolve)),
  ];
}

function requiredOf(given: Schema, resolve: Resolve): Set<string> {
  const schema = resolve(given);
  return new Set([
    ...(schema.required ?? []),
    ...(schema.allOf ?? []).flatMap((each) => [...requiredOf(each, resolve)]),
  ]);
}

/** The members of an answer by name: `{ bridges: [{ name, … }] }` */
function shapeOf(given: Schema, resolve: Resolve, depth = 0): string {
  const schema = resolve(given);
  if (schema.type === 'array' && schema.items) return `[${shapeOf(schema.items, resolve, depth)}]`;
  const members = membersOf(schema, resolve);
  if (members.length === 0 || depth > 1) return depth === 0 ? typeOf(schema, resolve) : '…';
  const names = members.map(([name, member]) => {
    const isDeep =
      depth === 0 &&
      (member.type === 'array' || member.type === 'object') &&
      membersOf(member.items ?? member, resolve).length > 0;
    return isDeep ? `${name}: ${shapeOf(member, resolve, depth + 1)}` : name;
  });
  return `{ ${names.join(', ')} }`;
}

function typeOf(given: Schema, resolve: Resolve): string {
  const schema = resolve(given);
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives) return [...new Set(alternatives.map((each) => typeOf(each, resolve)))].join(' or ');
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(', ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.allOf) return [...new Set(schema.allOf.map((each) => typeOf(each, resolve)))].join(' and ');
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : String(schema.type ?? 'any');
  if (type === 'array') return `list of ${schema.items ? typeOf(schema.items, resolve) : 'anything'}`;
  const { minimum, maximum } = schema;
  if (minimum !== undefined && maximum !== undefined) return `${type} ${minimum} to ${maximum}`;
  return minimum === undefined ? type : `${type} from ${minimum}`;
}
