/** Every error of the API, in the form of RFC 9457. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifySchemaValidationError } from 'fastify';
import { IntentError } from '../config/index.js';
import type { IntentErrorCode } from '../config/index.js';
import { OvsdbError } from '../ovsdb/index.js';

export interface BodyFault {
  /** JSON pointer (RFC 6901) into the body; for parameters `?name`. */
  readonly path: string;
  readonly message: string;
  /** The switch's own error, type and code. */
  readonly openflow?: string;
}

/** A refusal that becomes a problem document. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';

  constructor(
    readonly status: number,
    readonly code: string,
    readonly title: string,
    readonly detail?: string,
    readonly faults?: readonly BodyFault[],
  ) {
    super(detail ?? title);
  }
}

const INTENT_STATUS: Readonly<Record<IntentErrorCode, number>> = {
  'no-such-bridge': 404,
  'no-such-port': 404,
  'no-such-mirror': 404,
  'no-such-export': 404,
  'no-such-interface': 404,
  'no-such-entry': 404,
  'bridge-exists': 409,
  'port-exists': 409,
  'is-local-port': 409,
  'is-a-bond': 409,
};
const TITLES: Readonly<Record<IntentErrorCode, string>> = {
  'no-such-bridge': 'No such bridge',
  'no-such-port': 'No such port',
  'no-such-mirror': 'No such mirror',
  'no-such-export': 'Nobody is told of the traffic that way',
  'no-such-interface': 'No such interface',
  'no-such-entry': 'No such entry',
  'bridge-exists': 'The bridge exists',
  'port-exists': 'The port exists',
  'is-local-port': "It is the bridge's own port",
  'is-a-bond': 'The port is a bond',
};

const CODES: Readonly<Record<number, string>> = {
  404: 'not-found',
  413: 'too-large',
  414: 'too-long',
  415: 'unsupported-media-type',
};

export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof IntentError) {
    return new ProblemError(INTENT_STATUS[error.code], error.code, TITLES[error.code], error.message);
  }
  if (error instanceof OvsdbError) {
    if (error.tag === 'I/O error')
      return new ProblemError(503, 'database', 'The database cannot be written', error.details);
    if (error.tag === 'constraint violation')
      return new ProblemError(409, 'conflict', 'The database refuses this', error.details);
    return new ProblemError(500, 'internal', 'Internal error', error.message);
  }
  const { statusCode, validation, validationContext, message } = error as FastifyError;
  if (validation) {
    return new ProblemError(
      400,
      'invalid',
      'The request is not valid',
      undefined,
      bodyFaults(validation, validationContext),
    );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ProblemError(
      statusCode,
      CODES[statusCode] ?? 'bad-request',
      'The request cannot be understood',
      message,
    );
  }
  return new ProblemError(500, 'internal', 'Internal error');
}

export function sendProblem(reply: FastifyReply, problem: ProblemError): FastifyReply {
  const { status } = problem;
  return reply
    .code(status)
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(documentOf(problem));
}

function documentOf({ status, code, title, detail, faults }: ProblemError): object {
  return {
    type: `urn:weft:problem:${code}`,
    title,
    status,
    ...(detail === undefined ? {} : { detail }),
    ...(faults ? { errors: faults } : {}),
  };
}

/** Answers bytes that are no HTTP request, and closes. */
export function answerUnparsable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return;
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new ProblemError(431, 'headers-too-large', 'The headers are too large')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new ProblemError(408, 'timeout', 'The request did not come in time')
        : new ProblemError(400, 'bad-request', 'The request cannot be understood', 'it is no HTTP request');
  const body = JSON.stringify(documentOf(problem));
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** ajv's errors, one per place: of a union's failed branches only what the user can act on. */
export function bodyFaults(errors: readonly FastifySchemaValidationError[], context = 'body'): BodyFault[] {
  const faults = new Map<string, BodyFault>();
  const alternatives = errors
    .filter(({ keyword }) => keyword === 'anyOf')
    .map(({ instancePath }) => instancePath);
  for (const { keyword, instancePath, params, message } of errors) {
    if (keyword === 'anyOf') continue;
    if (keyword === 'type' && params['type'] === 'null' && alternatives.includes(instancePath)) continue;
    let path = context === 'body' ? instancePath : instancePath.replace(/^\//, '?');
    let text = message ?? 'is not valid';
    if (keyword === 'required') {
      path = within(path, params['missingProperty'], context);
      text = 'is required';
    } else if (keyword === 'additionalProperties') {
      path = within(path, params['additionalProperty'], context);
      text = 'is not known here';
    } else if (keyword === 'enum' && Array.isArray(params['allowedValues'])) {
      text = `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    } else if (keyword === 'not') text = 'is not allowed';
    faults.set(`${path} ${text}`, { path, message: text });
  }
  return [...faults.values()];
}

function within(path: string, member: unknown, context: string): string {
  if (path === '' && context !== 'body') return `?${String(member)}`;
  return `${path}/${String(member).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
