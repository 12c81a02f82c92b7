/**
 * Who may do what: bearer tokens (RFC 6750) with a scope, asked for as the listener wants that the request came in by.
 * Tokens are known by their SHA-256 alone and compared in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { App } from './plugin.js';
import { ProblemError } from './problems.js';

export type Scope = 'read' | 'write';

/** Who asks: the name of a token, or nobody in particular where none is wanted. */
export interface Principal {
  readonly name: string;
  readonly scope: Scope;
}

interface Token extends Principal {
  /** SHA-256 of the token. */
  readonly digest: Buffer;
}

/** What is wrong with a tokens file, in one line. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
}

const MIN_TOKEN_LENGTH = 16;
const LOCAL: Principal = { name: 'local', scope: 'write' };

export class Tokens {
  private constructor(private readonly tokens: readonly Token[]) {}

  /**
   * Reads `NAME SCOPE SHA256` lines (scope: read or write; the hash as `sha256sum` prints it), with blank lines and
   * `#` comments; or a file whose one word is the token itself, which may do anything.
   * @throws TokenFileError naming the line
   */
  static parse(text: string): Tokens {
    const lines = text.split('\n').map((line) => line.replace(/(^|\s)#.*$/, '').trim());
    const given = lines.filter((line) => line !== '');
    const [only] = given;
    if (given.length === 1 && only !== undefined && !/\s(read|write)\s/.test(only)) {
      if (only.length < MIN_TOKEN_LENGTH)
        throw new TokenFileError(`the token is shorter than ${MIN_TOKEN_LENGTH} characters`);
      return new Tokens([{ name: 'token', scope: 'write', digest: sha256(only) }]);
    }
    const tokens = lines.flatMap((line, i) => (line === '' ? [] : [tokenOf(line, i + 1)]));
    if (tokens.length === 0) throw new TokenFileError('there is no token in it');
    for (const [i, { name }] of tokens.entries()) {
      if (tokens.findIndex((token) => token.name === name) !== i)
        throw new TokenFileError(`there are two tokens named ${name}`);
    }
    return new Tokens(tokens);
  }

  /** The owner of the token in an Authorization header. Takes as long for a token that there is as for one that is not. */
  find(authorization: string | undefined): Principal | null {
    const given = sha256(/^Bearer +(.+?) *$/i.exec(authorization ?? '')?.[1] ?? '');
    let found: Principal | null = null;
    for (const token of this.tokens) if (timingSafeEqual(token.digest, given)) found = token;
    return authorization === undefined ? null : found;
  }
}

function tokenOf(line: string, number: number): Token {
  const [name = '', scope, hash, more] = line.split(/\s+/);
  const wanted = 'NAME read|write SHA256 is wanted';
  if (scope !== 'read' && scope !== 'write') throw new TokenFileError(`line ${number}: ${wanted}`);
  if (hash === undefined || !/^[0-9a-f]{64}$/i.test(hash) || more !== undefined)
    throw new TokenFileError(`line ${number}: ${wanted}; \`printf %s TOKEN | sha256sum\` makes one`);
  return { name, scope, digest: Buffer.from(hash, 'hex') };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** What a listener asks of those who come in by it. */
export interface Policy {
  readonly needsToken: boolean;
  /** Refuse requests addressed to another host than this one, as a web page does that rebinds its name to 127.0.0.1. */
  readonly loopbackOnly: boolean;
}

const policies = new WeakMap<IncomingMessage, Policy>();
const principals = new WeakMap<IncomingMessage, Principal>();

/** Said by the listener of each request before it is routed. */
export function setPolicy(request: IncomingMessage, policy: Policy): void {
  policies.set(request, policy);
}

declare module 'fastify' {
  interface FastifyRequest {
    readonly principal: Principal;
  }
  interface FastifyContextConfig {
    /** What a token must be good for; default: `read` for GET and HEAD, else `write`. */
    scope?: Scope;
  }
}

/** Lets nobody in who may not. @param otherwise for requests that came by no listener of ours */
export function guard(app: App, tokens: Tokens | undefined, otherwise: Policy): void {
  app.decorateRequest('principal', {
    getter() {
      return principals.get(this.raw) ?? LOCAL;
    },
  });
  app.addHook('onRequest', async (request, reply) => {
    const { needsToken, loopbackOnly } = policies.get(request.raw) ?? otherwise;
    const { host } = request.headers;
    if (loopbackOnly && host !== undefined && !isLoopbackHost(host)) {
      throw new ProblemError(403, 'wrong-host', 'Wrong host', `this API answers on loopback, not as ${host}`);
    }
    if (!needsToken) return;
    const principal = tokens?.find(request.headers.authorization) ?? null;
    if (principal === null) {
      reply.header('www-authenticate', 'Bearer realm="weft"');
      throw new ProblemError(401, 'unauthorized', 'A token is needed', 'send Authorization: Bearer <token>');
    }
    principals.set(request.raw, principal);
    if (principal.scope === 'read' && scopeOf(request) === 'write') {
      reply.header('www-authenticate', 'Bearer realm="weft", error="insufficient_scope", scope="write"');
      throw new ProblemError(
        403,
        'insufficient-scope',
        'The token may only read',
        `${principal.name} has scope read; this takes write`,
      );
    }
  });
}

/** What a request takes. */
export function scopeOf({ method, routeOptions }: FastifyRequest): Scope {
  return routeOptions.config.scope ?? (['GET', 'HEAD', 'OPTIONS'].includes(method) ? 'read' : 'write');
}

/** `localhost`, `127.0.0.1:8080`, `[::1]:8080` */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}
