/**
 * Entity tags and conditional requests (RFC 9110 §13). A tag is that of a resource's configuration: counters and the
 * state of links do not change it, a change by `ovs-vsctl` does. Who sends back in If-Match what GET told overwrites
 * nobody else's change.
 */
import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import { ProblemError } from './problems.js';

/** @param uuid of the row, as a resource that was removed and made again is another one */
export function etagOf(uuid: string, configuration: object): string {
  const digest = createHash('sha256').update(uuid).update(JSON.stringify(configuration)).digest('base64url');
  return `"${digest.slice(0, 22)}"`;
}

interface Conditions {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
}

/**
 * To be asked within the transaction that the conditions guard.
 * @param current the tag that the resource has, undefined where there is none
 * @throws ProblemError 412
 */
export function checkConditions(conditions: Conditions, current: string | undefined): void {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = conditions;
  const refuse = (why: string) => {
    throw new ProblemError(412, 'precondition-failed', 'It is not as you know it', why);
  };
  if (ifMatch !== undefined && !includes(ifMatch, current, 'strong')) {
    if (current === undefined) refuse('If-Match: there is no such resource');
    refuse(`If-Match: it has changed since then, and is ${current} now`);
  }
  if (ifNoneMatch !== undefined && includes(ifNoneMatch, current, 'weak'))
    refuse('If-None-Match: there is such a resource');
}

/** Tells the tag; whether the client has just that already, and wants 304 instead of the view. */
export function isKnown(reply: FastifyReply, etag: string, conditions: Conditions): boolean {
  reply.header('etag', etag);
  const { 'if-none-match': ifNoneMatch } = conditions;
  return ifNoneMatch !== undefined && includes(ifNoneMatch, etag, 'weak');
}

/** Whether a list of entity tags, or `*`, has this one. Weak tags never match strongly (§8.8.3.2). */
function includes(list: string, etag: string | undefined, comparison: 'weak' | 'strong'): boolean {
  if (etag === undefined) return false;
  if (list.trim() === '*') return true;
  const tags = list.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`));
}
