/**
 * What holds for every route, so that no route has to say it: parameters are read as what their schemas say, bodies and
 * answers have a media type that was agreed on, other methods are refused with 405, and every refusal that can come is
 * in the OpenAPI document.
 */
import type { FastifyRequest, RouteOptions } from 'fastify';
import { negotiate } from './negotiation.js';
import type { App } from './plugin.js';
import { ProblemError } from './problems.js';
import { Problem } from './schemas/common.js';

/** Bodies are settings; nobody nests deeper. */
const MAX_DEPTH = 32;
const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Media types of the body, and of the answer; empty: there is none, or any. */
    consumes?: readonly string[];
    produces?: readonly string[];
  }
}

interface RouteSchema {
  hide?: boolean;
  params?: { properties?: Record<string, unknown> };
  querystring?: Schemas;
  headers?: Schemas;
  /** Media types of the body; default: JSON. */
  consumes?: readonly string[];
  body?: { content?: Record<string, unknown> };
  response?: Record<string, Answer>;
}
interface Schemas {
  properties?: Record<string, { type?: string }>;
}
interface Answer {
  readonly $ref?: string;
  readonly type?: string;
  readonly content?: Record<string, unknown>;
}

/** To be called before any route is there; gives what is to be called after the last one. */
export function holdRoutesToContract(app: App): { close: () => void } {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', (route) => {
    const known = methods.get(route.url) ?? new Set();
    for (const method of [route.method].flat()) known.add(method);
    methods.set(route.url, known);
    completeSchema(route);
  });
  app.addHook('onRequest', async (request, reply) => {
    const { produces = [] } = request.routeOptions.config;
    if (produces.length > 1) reply.header('vary', 'accept');
    if (produces.length > 0 && negotiate(request.headers.accept, produces) === null) {
      throw new ProblemError(
        406,
        'not-acceptable',
        'Not acceptable',
        `it can be had as ${produces.join(', ')}`,
      );
    }
  });
  app.addHook('preParsing', async (request, reply) => {
    checkBodyType(request, (name, value) => void reply.header(name, value));
  });
  app.addHook('preValidation', async (request) => {
    const { params, querystring } = (request.routeOptions.schema ?? {}) as RouteSchema;
    readParameters(request.params, params as Schemas | undefined);
    readParameters(request.query, querystring);
  });
  readJson(app);
  return { close: () => refuseOtherMethods(app, methods) };
}

function checkBodyType(request: FastifyRequest, setHeader: (name: string, value: string) => void): void {
  const { consumes = [] } = request.routeOptions.config;
  const given = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (consumes.length === 0 || given === undefined || consumes.includes(given)) return;
  setHeader(request.method === 'PATCH' ? 'accept-patch' : 'accept-post', consumes.join(', '));
  throw new ProblemError(
    415,
    'unsupported-media-type',
    'Unsupported media type',
    `the body is to be ${consumes.join(' or ')}`,
  );
}

/** Numbers and truth values come as text; what does not read as one is left for the schema to refuse. */
function readParameters(given: unknown, schema: Schemas | undefined): void {
  const values = given as Record<string, unknown> | undefined;
  for (const [name, { type }] of Object.entries(schema?.properties ?? {})) {
    const value = values?.[name];
    if (values === undefined || typeof value !== 'string') continue;
    if (type === 'integer' && /^(0|[1-9]\d{0,15})$/.test(value)) values[name] = Number(value);
    if (type === 'boolean' && (value === 'true' || value === 'false')) values[name] = value === 'true';
  }
}

/** JSON, with a limit to how deep it nests: what walks it later may recurse. */
function readJson(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  for (const type of [JSON_TYPE, 'application/merge-patch+json']) {
    app.addContentTypeParser(type, { parseAs: 'string' }, (request, body, done) => {
      if (depthOf(String(body)) > MAX_DEPTH) {
        done(new ProblemError(400, 'too-deep', 'The body nests too deep', `more than ${MAX_DEPTH} levels`));
      } else void parse(request, String(body), done);
    });
  }
}

/** How deep a JSON text nests, found without recursion. */
export function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
    } else if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x5d || char === 0x7d) depth--;
  }
  return deepest;
}

// ---- the document -----------------------------------------------------------------------------------------------

/** Refusals by status: when they come. Of every route, of those with parameters in the path, and of those with a body. */
const ANYWHERE = {
  400: 'The request is not valid: `errors` has every fault, each with its place',
  401: 'A token is needed, or another one',
  403: 'Not allowed with this token, or addressed to a name that is not this host’s',
  406: 'It cannot be had in a form that Accept allows',
  431: 'The request line with its fields is too large',
  500: 'A fault in Weft; its log says more',
  503: 'The database cannot be written, or the switch does not answer, at present',
};
const IN_PATH = { 404: 'There is no such resource', 414: 'The URL is too long' };
const WITH_BODY = { 413: 'The body is too large', 415: 'The body is of another media type' };
const OTHERS: Readonly<Record<string, string>> = {
  409: 'It does not go together with what there is',
  412: 'If-Match or If-None-Match does not hold',
  422: 'The switch refuses it: `errors` has the OpenFlow error',
  '4XX': 'Another refusal',
  '5XX': 'Another failure',
};

function problemAnswer(description: string, schema: object = Problem): Answer & { description: string } {
  return { description, content: { [PROBLEM_TYPE]: { schema } } };
}

/** Fills in what follows from the rest of a route's schema. */
function completeSchema(route: RouteOptions): void {
  const schema = (route.schema ?? {}) as RouteSchema;
  const { body, response = {} } = schema;
  const successes = Object.entries(response).filter(([status]) => status.startsWith('2'));
  route.config = {
    ...(body
      ? { consumes: schema.consumes ?? (body.content ? Object.keys(body.content) : [JSON_TYPE]) }
      : {}),
    produces: [...new Set(successes.flatMap(([, success]) => mediaTypes(success)))],
    ...route.config,
  };
  if (schema.hide || successes.length === 0) return;
  const documented: Record<string, string> = {
    ...ANYWHERE,
    ...(route.url.includes(':') ? IN_PATH : {}),
    ...(body ? WITH_BODY : {}),
  };
  const complete: Record<string, Answer> = {};
  for (const [status, description] of Object.entries(documented))
    complete[status] = problemAnswer(description);
  for (const [key, given] of Object.entries(response)) {
    const status = key.toUpperCase();
    const isProblem = /^[45]/.test(status) && !given.content;
    const description = documented[status] ?? OTHERS[status] ?? 'A problem';
    complete[key] = isProblem ? problemAnswer(description, given) : given;
  }
  route.schema = { ...route.schema, response: complete };
}

function mediaTypes({ content, type, $ref }: Answer): string[] {
  if (content) return Object.keys(content);
  return type === 'null' || (type === undefined && $ref === undefined) ? [] : [JSON_TYPE];
}

// ---- other methods ------------------------------------------------------------------------------------------------

/** 405 with Allow (RFC 9110 §15.5.6) where there is a resource but no such method; OPTIONS tells what there is. */
function refuseOtherMethods(app: App, routes: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const [url, known] of [...routes]) {
    const allow = [...new Set([...known, 'OPTIONS'])].sort().join(', ');
    const others = app.supportedMethods.filter((method) => !known.has(method));
    if (others.length === 0 || url.includes('*')) continue;
    app.route({
      method: others,
      url,
      schema: { hide: true },
      onRequest: async (request, reply) => {
        reply.header('allow', allow);
        if (request.method === 'OPTIONS') return reply.code(204).send();
        throw new ProblemError(405, 'method-not-allowed', 'Method not allowed', `there are ${allow}`);
      },
      handler: () => null,
    });
  }
}
