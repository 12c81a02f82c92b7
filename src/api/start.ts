/**
 * The REST API of a running weftd, sockets and all. A module of its own as the composition root loads it late: Fastify,
 * the schemas and their validators take longer to load than all that the switches need.
 */
import type { Logger } from 'pino';
import { Revisions } from '../config/revisions.js';
import { buildApp } from './app.js';
import type { AppOptions } from './app.js';
import { openAuditLog } from './audit-file.js';
import { listen } from './server.js';
import type { ApiListener, ListenAddress, ListenOptions } from './server.js';

export interface ApiOptions extends Omit<AppOptions, 'revisions' | 'log' | 'auditLog'> {
  readonly log: Logger;
  /** Where the revisions of the configuration are kept. */
  readonly historyFolder: string;
  /** Default: to the log. */
  readonly auditLogPath?: string;
}

export interface Api {
  readonly listeners: readonly ApiListener[];
  readonly revisions: Revisions;
  /** Takes no more, and lets requests end that are under way. */
  close(): Promise<void>;
}

/** @throws ListenError */
export async function startApi(
  addresses: readonly ListenAddress[],
  listening: ListenOptions,
  { log, historyFolder, auditLogPath, ...options }: ApiOptions,
): Promise<Api> {
  const revisions = await Revisions.open(options.configuration, { folder: historyFolder, log });
  const app = await buildApp({
    ...options,
    revisions,
    // Its own line about listening would only repeat ours.
    log: log.child({}, { level: 'warn' }),
    auditLog: openAuditLog(auditLogPath, log),
  });
  const listeners: ApiListener[] = [];
  try {
    for (const address of addresses) listeners.push(await listen(app, address, listening));
  } catch (error) {
    await Promise.all(listeners.map((each) => each.close()));
    throw error;
  }
  return {
    listeners,
    revisions,
    close: async () => {
      await Promise.all([app.close(), ...listeners.map((each) => each.close())]);
    },
  };
}
