/**
 * The API does what its OpenAPI document says: whatever is sent, the answer has a documented status and media type, and
 * a body that fits the documented schema. Requests are made from the document. (`npm run fuzz:api` does the same to a
 * running weftd, with Schemathesis.)
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Harness, learned } from './harness.js';

type Schema = Readonly<Record<string, unknown>>;
interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}
interface Operation {
  readonly operationId?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { schema: Schema }>> }>
  >;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

let api: Harness;
let document: Document;
let ajv: Ajv2020;
const validators = new Map<Schema, ValidateFunction>();

beforeAll(async () => {
  api = await Harness.create();
  document = (await api.call('GET', '/openapi.json')).body as Document;
  ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: 'document', ...document });
  await api.call('POST', '/v1/bridges', { name: 'br0' });
  await api.call('POST', '/v1/bridges/br0/ports', { name: 'tap2', tag: 10 });
  api.switches.fdb = [learned(10, '02:00:00:00:00:01', 'tap2')];
});
afterAll(() => api.close());

test('every operation has a name of its own, a summary, and says what may come of it', () => {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ at: `${method} ${path}`, operation })),
  );
  expect(operations.length).toBeGreaterThan(30);
  for (const { at, operation } of operations) {
    expect(operation, at).toMatchObject({
      summary: expect.any(String) as string,
      tags: expect.any(Array) as string[],
    });
    expect(
      Object.keys(operation.responses).some((status) => /^[23]/.test(status)),
      at,
    ).toBe(true);
    expect(Object.keys(operation.responses), at).toContain('400');
  }
  const names = operations.flatMap(({ operation }) => operation.operationId ?? []);
  expect(new Set(names).size).toBe(names.length);
});

test('whatever is sent, the answer is one that the document has', async () => {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      // A stream of events does not end.
      .filter(([, { responses }]) => !responses['200']?.content?.['text/event-stream'])
      .map(([method, operation]) => ({ path, method, operation })),
  );
  const requests = fc.constantFrom(...operations).chain(({ path, method, operation }) => {
    const values = (operation.parameters ?? []).map((parameter) =>
      fc.tuple(fc.constant(parameter), valueOf(parameter), fc.boolean()),
    );
    const [type, body] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
    return fc.record({
      path: fc.constant(path),
      method: fc.constant(method),
      operation: fc.constant(operation),
      parameters: fc.tuple(...values),
      type: fc.constant(type),
      body: body === undefined ? fc.constant(undefined) : fromSchema(body.schema, 4),
    });
  });
  await fc.assert(
    fc.asyncProperty(requests, async ({ path, method, operation, parameters, type, body }) => {
      let url = path;
      const query = new URLSearchParams();
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      for (const [{ name, in: place, required }, value, isGiven] of parameters) {
        if (place === 'path')
          url = url.replace(`{${name}}`, encodeURIComponent(value.replace(/^\.*$/, 'dots')));
        else if (required !== true && !isGiven) continue;
        else if (place === 'query') query.set(name, value);
        else headers[name] = value.replace(/[^\x20-\x7e]/g, '').trim();
      }
      const {
        statusCode,
        headers: answered,
        body: text,
      } = await api.app.inject({
        method: method.toUpperCase() as 'GET',
        url: query.size > 0 ? `${url}?${query.toString()}` : url,
        headers,
        ...(type === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      expectDocumented(operation, statusCode, String(answered['content-type'] ?? ''), text);
    }),
    { numRuns: 400, endOnFailure: true },
  );
}, 120_000);

function expectDocumented(operation: Operation, status: number, contentType: string, text: string): void {
  expect(status).not.toBe(500);
  const documented =
    operation.responses[String(status)] ?? operation.responses[`${String(status)[0] ?? ''}XX`];
  expect(documented, `${operation.operationId ?? ''} answers ${status}: ${text.slice(0, 300)}`).toBeDefined();
  if (text === '') return;
  const type = contentType.split(';')[0] ?? '';
  const schema = documented?.content?.[type]?.schema;
  expect(schema, `${operation.operationId ?? ''} answers ${status} with ${type}`).toBeDefined();
  if (!schema || !/json$/.test(type) || type.includes('ndjson')) return;
  const validate = validators.get(schema) ?? ajv.compile(absolute(schema) as Schema);
  validators.set(schema, validate);
  expect(validate(JSON.parse(text)), `${text.slice(0, 300)}: ${ajv.errorsText(validate.errors)}`).toBe(true);
}

/** References within the document, to be found by ajv. */
function absolute(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(absolute);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      key === '$ref' && typeof each === 'string' ? `document${each}` : absolute(each),
    ]),
  );
}

/** Mostly what there is, so that requests reach what they ask for. */
function valueOf({ name, in: place, schema }: Parameter): fc.Arbitrary<string> {
  const known: Record<string, string> = { name: 'br0', port: 'tap2', interface: 'tap2', vlan: '10' };
  const usual = place === 'path' ? known[name] : undefined;
  const generated = fromSchema(schema, 1).map((value) =>
    typeof value === 'string' ? value : JSON.stringify(value),
  );
  const any = fc.oneof(generated, fc.string({ minLength: 1, maxLength: 20 }));
  return usual === undefined ? any : fc.oneof({ weight: 4, arbitrary: fc.constant(usual) }, any);
}

/** Values that fit a schema, more or less: and now and then one that does not. */
function fromSchema(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const wrong = fc.oneof(
    fc.integer(),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.constant([]),
    fc.constant({}),
  );
  return fc.oneof({ weight: 12, arbitrary: fitting(schema, depth) }, { weight: 1, arbitrary: wrong });
}

function fitting(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const target = document.components.schemas[reference.split('/').at(-1) ?? ''] ?? {};
    return fitting(target, depth);
  }
  const examples = (schema['examples'] ??
    (schema['example'] === undefined ? [] : [schema['example']])) as unknown[];
  const choices = (schema['enum'] ?? []) as unknown[];
  const branches = (schema['anyOf'] ?? schema['oneOf'] ?? []) as Schema[];
  const given: fc.Arbitrary<unknown>[] = [...examples, ...choices].map((value) => fc.constant(value));
  if (choices.length > 0) return fc.oneof(...given);
  if (branches.length > 0) return fc.oneof(...branches.map((branch) => fromSchema(branch, depth)), ...given);
  return fc.oneof(plain(schema, depth), ...given);
}

function plain(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const { minimum = -10, maximum = 100_000 } = schema as { minimum?: number; maximum?: number };
  switch (schema['type']) {
    case 'integer':
    case 'number':
      return fc.integer({ min: Math.max(minimum, -1e9), max: Math.min(maximum, 1e9) });
    case 'boolean':
      return fc.boolean();
    case 'string':
      return fc.string({ maxLength: 20 });
    case 'array':
      return depth <= 0
        ? fc.constant([])
        : fc.array(fromSchema((schema['items'] ?? {}) as Schema, depth - 1), { maxLength: 3 });
    case 'object': {
      const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
      const members = properties.map(([key, each]) => [key, fromSchema(each, depth - 1)] as const);
      const requiredKeys = ((schema['required'] ?? []) as string[]).filter((key) =>
        properties.some(([each]) => each === key),
      );
      if (depth <= 0) return fc.constant({});
      return fc.record(Object.fromEntries(members), { requiredKeys });
    }
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}
