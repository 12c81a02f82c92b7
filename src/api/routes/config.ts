/** /v1/config: the configuration as one document, its history, and what differs. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  ConfigDocument,
  DocumentError,
  checkValue,
  diffDocuments,
  merge,
  parseText,
  publishedSchema,
  readDocument,
  toValue,
  toYaml,
} from '../../config/document/index.js';
import type { Document, Source } from '../../config/document/index.js';
import { summarize } from '../../config/revisions.js';
import { declare, etagOf, plan } from '../declaration.js';
import type { Declaration, Outcome } from '../declaration.js';
import { answer } from '../answers.js';
import type { App } from '../plugin.js';
import { ProblemError } from '../problems.js';
import { ConfigDiff, ConfigHistory, ConfigOutcome, ConfigProblem } from '../config-schemas.js';
import { Problem } from '../schemas.js';
import type { Services } from '../services.js';

const tags = ['config'];
/** Ten thousand ports with everything said about them. */
const BODY_LIMIT = 16 << 20;
const YAML = 'application/yaml';
const BODY_TYPES = ['application/json', YAML, 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

const Change = Type.Object(
  {
    dryRun: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Say what would change and what it would cost; change nothing',
      }),
    ),
    comment: Type.Optional(Type.String({ maxLength: 500, description: 'For the history' })),
  },
  { additionalProperties: false },
);
const Form = Type.Object(
  { format: Type.Optional(Type.Unsafe<'json' | 'yaml'>({ type: 'string', enum: ['json', 'yaml'] })) },
  { additionalProperties: false },
);
const RevisionNumber = Type.String({ pattern: '^[1-9][0-9]{0,14}$' });
const Either = Type.String({
  pattern: '^(running|[1-9][0-9]{0,14})$',
  default: 'running',
  description: 'A revision, or running',
});
const Preconditions = Type.Object({
  'if-match': Type.Optional(
    Type.String({ description: 'The ETag of the configuration that the change was made for' }),
  ),
});
const DocumentView = Type.Unsafe<unknown>(ConfigDocument);
const documentBody = {
  content: Object.fromEntries(BODY_TYPES.map((type) => [type, { schema: ConfigDocument }])),
};

export function configRoutes(app: App, services: Services): void {
  void app.register(async (scope: App) => {
    // The text is kept: lines and columns of faults are of the text.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      BODY_TYPES,
      { parseAs: 'string', bodyLimit: BODY_LIMIT },
      (_request, body, done) => {
        done(null, body);
      },
    );
    scope.setValidatorCompiler(({ schema, httpPart }) => {
      if (httpPart === 'body') return () => true;
      return validateParameters(schema as Parameters<typeof Compile>[0]);
    });
    documentRoutes(scope, services);
    historyRoutes(scope, services);
  });
}

function documentRoutes(app: App, services: Services): void {
  const { configuration } = services;
  const running = () => readDocument(configuration.database);

  app.get(
    '/v1/config',
    {
      schema: {
        tags,
        summary:
          'The whole configuration as a document, in YAML where that is accepted; applied, it changes nothing',
        querystring: Form,
        response: {
          200: answer(DocumentView, {
            description: 'The configuration',
            hasEtag: true,
            also: { [YAML]: DocumentView },
          }),
          304: Type.Null(),
          '4xx': Problem,
        },
      },
    },
    (request, reply) => {
      const document = running();
      const etag = etagOf(document);
      reply.header('etag', etag);
      if (matchesTag(request.headers['if-none-match'], etag)) return reply.code(304).send(null);
      return sendDocument(request, reply, document, request.query.format);
    },
  );

  app.get(
    '/v1/config/schema',
    {
      schema: {
        tags,
        summary: 'The JSON Schema of documents, for editors',
        response: {
          200: {
            description: 'JSON Schema, draft 2020-12',
            content: { 'application/schema+json': { schema: Type.Any() } },
          },
        },
      },
    },
    (_request, reply) => reply.type('application/schema+json').send(publishedSchema()),
  );

  app.put(
    '/v1/config',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        tags,
        summary:
          'Bring the switch to what the document says, in one transaction. What is not in it goes; what does not differ is not touched',
        body: documentBody,
        querystring: Change,
        headers: Preconditions,
        response: { 200: ConfigOutcome, 202: ConfigOutcome, '4xx': ConfigProblem, '5xx': Problem },
      },
    },
    async (request, reply) => {
      const source = sourceOf(request);
      return change(
        services,
        request,
        reply,
        () => located(source, () => planText(services, source)),
        'apply',
      );
    },
  );

  app.post(
    '/v1/config/rollback',
    {
      schema: {
        tags,
        summary: 'Bring the switch back to a revision',
        body: Type.Object({ revision: Type.Integer({ minimum: 1 }) }, { additionalProperties: false }),
        querystring: Change,
        headers: Preconditions,
        response: { 200: ConfigOutcome, 202: ConfigOutcome, '4xx': ConfigProblem, '5xx': Problem },
      },
    },
    async (request, reply) => {
      const { value } = sourceOf(request);
      const { revision, ...rest } = (value ?? {}) as { revision?: unknown };
      if (!Number.isSafeInteger(revision) || Number(revision) < 1 || Object.keys(rest).length > 0) {
        const fault = { path: '/revision', message: 'a revision’s number, and nothing else, is wanted' };
        throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, [fault]);
      }
      const document = await revisionOf(services, Number(revision));
      const verb = `roll back to ${Number(revision)}`;
      return change(services, request, reply, () => plan(services, { document, keep: [] }), verb);
    },
  );

  app.post(
    '/v1/config/diff',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        tags,
        summary: 'What the document would change; the document need not be valid for this switch',
        body: documentBody,
        querystring: Type.Object({ from: Type.Optional(Either) }, { additionalProperties: false }),
        response: { 200: ConfigDiff, '4xx': ConfigProblem },
      },
    },
    async (request) => {
      const from = await documentOf(services, request.query.from);
      const source = sourceOf(request);
      const to = located(source, () => {
        const { written, faults } = checkValue(source.value);
        if (faults.length > 0) throw new DocumentError(faults);
        return merge(written, from);
      });
      return diffOf(from, to);
    },
  );

  app.get(
    '/v1/config/diff',
    {
      schema: {
        tags,
        summary: 'What differs between two revisions, or a revision and what is running',
        querystring: Type.Object(
          { from: Type.Optional(Either), to: Type.Optional(Either) },
          { additionalProperties: false },
        ),
        response: { 200: ConfigDiff, '4xx': Problem },
      },
    },
    async ({ query }) => diffOf(await documentOf(services, query.from), await documentOf(services, query.to)),
  );
}

function historyRoutes(app: App, services: Services): void {
  const { revisions } = services;

  app.get(
    '/v1/config/history',
    {
      schema: {
        tags,
        summary: 'Revisions of the configuration, the newest first',
        response: { 200: ConfigHistory },
      },
    },
    async () => {
      await revisions.settle();
      return { revisions: revisions.list() };
    },
  );

  app.get(
    '/v1/config/history/:revision',
    {
      schema: {
        tags,
        summary: 'The configuration as it was',
        params: Type.Object({ revision: RevisionNumber }),
        querystring: Form,
        response: {
          200: answer(DocumentView, { description: 'As it was', also: { [YAML]: DocumentView } }),
          '4xx': Problem,
        },
      },
    },
    async (request, reply) => {
      const document = await revisionOf(services, Number(request.params.revision));
      return sendDocument(request, reply, document, request.query.format);
    },
  );
}

type ChangeRequest = FastifyRequest & { query: Static<typeof Change> };

/** Plans and, unless this is only a question, does it: between the two nobody else has a turn. */
async function change(
  services: Services,
  request: Pick<ChangeRequest, 'query' | 'headers' | 'principal'>,
  reply: FastifyReply,
  planNow: () => Declaration,
  verb: string,
): Promise<Outcome> {
  const { dryRun = false, comment } = request.query;
  await services.revisions.settle();
  const etag = etagOf(readDocument(services.configuration.database));
  const wanted = request.headers['if-match'];
  if (wanted !== undefined && !matchesTag(wanted, etag)) {
    reply.header('etag', etag);
    throw new ProblemError(
      412,
      'changed-meanwhile',
      'The configuration has changed meanwhile',
      `it is ${etag} now; read it again and make the change anew`,
    );
  }
  const declaration = planNow();
  if (dryRun) {
    reply.header('etag', etag);
    const { changes, cost, warnings } = declaration;
    const changed = changes.length > 0;
    return {
      changed,
      dryRun,
      changes,
      cost,
      warnings,
      revision: services.revisions.latest,
      applied: null,
      pending: null,
    };
  }
  const outcome = await declare(services, declaration, {
    who: request.principal.name,
    comment: comment ?? verb,
  });
  reply.header('etag', etagOf(readDocument(services.configuration.database)));
  reply.code(outcome.pending === null ? 200 : 202);
  return outcome;
}

function planText(services: Services, source: Source): Declaration {
  const { written, faults } = checkValue(source.value);
  return plan(services, written, faults);
}

function sourceOf(request: FastifyRequest): Source {
  const text = typeof request.body === 'string' ? request.body : '';
  const isJson = /^application\/json\b/i.test(request.headers['content-type'] ?? '');
  return refusing(() => parseText(text, isJson ? 'json' : 'yaml'));
}

/** Faults with the lines that they are in. */
function located<T>(source: Source, work: () => T): T {
  return refusing(work, (fault) => source.locate(fault));
}

function refusing<T>(work: () => T, locate: Source['locate'] = (fault) => fault): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    const faults = error.faults.map(locate);
    throw new ProblemError(400, 'invalid', 'The document is not valid', 'nothing has been changed', faults);
  }
}

async function documentOf(services: Services, which = 'running'): Promise<Document> {
  if (which === 'running') return readDocument(services.configuration.database);
  return revisionOf(services, Number(which));
}

async function revisionOf({ revisions }: Services, revision: number): Promise<Document> {
  await revisions.settle();
  const document = await revisions.read(revision);
  if (document) return document;
  const oldest = revisions.list().at(-1)?.revision;
  const range =
    oldest === undefined ? 'there is none yet' : `there are ${oldest} to ${revisions.latest?.revision ?? 0}`;
  throw new ProblemError(404, 'no-such-revision', 'No such revision', `${revision}: ${range}`);
}

function diffOf(from: Document, to: Document): Static<typeof ConfigDiff> {
  const changes = diffDocuments(from, to);
  return { changes, summary: summarize(changes) };
}

function sendDocument(
  request: FastifyRequest,
  reply: FastifyReply,
  document: Document,
  format: 'json' | 'yaml' | undefined,
): unknown {
  const value = toValue(document);
  const isYaml = (format ?? (/\byaml\b/i.test(request.headers.accept ?? '') ? 'yaml' : 'json')) === 'yaml';
  reply.header('vary', 'accept');
  if (!isYaml) return value;
  reply.type(`${YAML}; charset=utf-8`).serializer(String);
  return toYaml(value);
}

/** If-Match and If-None-Match (RFC 9110 §13.1): a list of tags, or `*`. */
function matchesTag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === etag);
}

function validateParameters(schema: Parameters<typeof Compile>[0]) {
  const validator = Compile(schema);
  return (given: unknown) => {
    // Parameters are texts; those that are to be a flag say true or false.
    const data = Object.fromEntries(
      Object.entries((given ?? {}) as Record<string, unknown>).map(([name, text]) => {
        const isFlag =
          (schema as { properties?: Record<string, { type?: string }> }).properties?.[name]?.type ===
          'boolean';
        return [name, isFlag && (text === 'true' || text === 'false') ? text === 'true' : text];
      }),
    );
    return validator.Check(data) ? { value: data } : { error: validator.Errors(data) as unknown as Error };
  };
}
