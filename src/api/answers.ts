/** The answers of routes, as Fastify and the OpenAPI document want them. */
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { PendingView } from './schemas.js';

const ETAG = { etag: { type: 'string', description: 'Of the configuration, for If-Match' } };

interface Details {
  readonly description: string;
  readonly hasEtag?: boolean;
  readonly headers?: Readonly<Record<string, object>>;
  /** Other media types in which the same may be had. */
  readonly also?: Readonly<Record<string, TSchema>>;
}

/** An answer of this JSON. To TypeScript it is the schema itself, so that handlers are held to it. */
export function answer<T extends TSchema>(schema: T, { description, hasEtag, headers, also = {} }: Details) {
  const others = Object.entries(also).map(([type, each]) => [type, { schema: each }]);
  const all = { ...(hasEtag ? ETAG : {}), ...headers };
  return {
    description,
    ...(Object.keys(all).length > 0 ? { headers: all } : {}),
    content: { 'application/json': { schema }, ...(Object.fromEntries(others) as object) },
  } as unknown as ReturnType<typeof Type.Unsafe<Static<T>>>;
}

/** An answer without a body. */
export function nothing(description: string) {
  return Type.Null({ description });
}

export const notModified = {
  304: Type.Unsafe<undefined>(nothing('The configuration is still the one with that ETag')),
};
export const removed = {
  202: answer(PendingView, { description: 'Removed; the switch does not know yet' }),
  204: nothing('It is gone, and the switch forwards so'),
};
