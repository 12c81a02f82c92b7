/** JSON-RPC 1.0 as RFC 7047 §4 uses it: requests, notifications (id null), replies. */
import { isObject, shorten } from '../atom.js';
import type { Json } from '../atom.js';
import type { ErrorTag } from '../errors.js';

export interface Call {
  readonly method: string;
  readonly params: readonly Json[];
  /** Null: a notification, which has no reply. */
  readonly id: Json;
}

export type Incoming = ({ readonly kind: 'call' } & Call) | { readonly kind: 'reply' };

/** The text is no message of JSON-RPC 1.0. */
export class MessageError extends Error {
  override readonly name = 'MessageError';
}

/** @throws MessageError */
export function parseMessage(text: string): Incoming {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch (error) {
    throw new MessageError(`malformed JSON: ${(error as Error).message}`);
  }
  if (!isObject(json)) throw new MessageError('a message is no JSON object');
  const { method, params, id } = json;
  if (method === undefined || method === null) {
    if (id === undefined || id === null || !('result' in json || 'error' in json)) {
      throw new MessageError(`neither a request nor a reply: ${shorten(json)}`);
    }
    return { kind: 'reply' };
  }
  if (typeof method !== 'string') throw new MessageError(`the method ${shorten(method)} is no string`);
  if (!Array.isArray(params)) throw new MessageError(`the params of ${shorten(method)} are no array`);
  return { kind: 'call', method, params: params as readonly Json[], id: id ?? null };
}

/** A request that is refused: what its reply has as `error` (RFC 7047 §4.1, §3.1 `<error>`). */
export class RequestError extends Error {
  override readonly name = 'RequestError';

  /** @param syntax the part of the request that is at fault */
  constructor(
    readonly tag: ErrorTag,
    readonly details: string,
    readonly syntax?: Json,
  ) {
    super(`${tag}: ${details}`);
  }

  toJSON(): Json {
    const { tag, details, syntax } = this;
    return { error: tag, details, ...(syntax === undefined ? {} : { syntax: shorten(syntax) }) };
  }
}

export function encodeResult(id: Json, result: Json): string {
  return JSON.stringify({ id, result, error: null });
}

/** @param result JSON */
export function encodeResultText(id: Json, result: string): string {
  return `{"id":${JSON.stringify(id)},"result":${result},"error":null}`;
}

export function encodeError(id: Json, error: Json): string {
  return JSON.stringify({ id, result: null, error });
}

export function encodeNotification(method: string, params: readonly Json[]): string {
  return JSON.stringify({ id: null, method, params });
}
