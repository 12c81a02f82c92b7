/** The REST API, without a socket: `server.ts` listens, tests inject. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { LogController, fastify } from 'fastify';
import type { FastifyBaseLogger } from 'fastify';
import { holdRoutesToContract } from './contract.js';
import { describeRoutes } from './document.js';
import type { App } from './plugin.js';
import { ProblemError, answerUnparsable, sendProblem, toProblem } from './problems.js';
import { bridgeRoutes } from './routes/bridges.js';
import { configRoutes } from './routes/config.js';
import { fdbRoutes } from './routes/fdb.js';
import { flowRoutes } from './routes/flows.js';
import { groupRoutes } from './routes/groups.js';
import { interfaceRoutes } from './routes/interfaces.js';
import { meterRoutes } from './routes/meters.js';
import { portRoutes } from './routes/ports.js';
import { rootRoutes } from './routes/root.js';
import { dropRoutes } from './routes/drops.js';
import { eventRoutes } from './routes/events.js';
import { statisticsRoutes } from './routes/statistics.js';
import { traceRoutes } from './routes/trace.js';
import { warningRoutes } from './routes/warnings.js';
import type { Services } from './services.js';

export interface AppOptions extends Services {
  readonly log?: FastifyBaseLogger;
  /** Where given, every request must bring it: `Authorization: Bearer …`. */
  readonly token?: string;
  /** Refuse requests addressed to another host than this one, as a web page does that rebinds its name to 127.0.0.1. */
  readonly loopbackOnly?: boolean;
}

const BODY_LIMIT = 256 << 10;

export async function buildApp(options: AppOptions): Promise<App> {
  const app = fastify({
    ...(options.log ? { loggerInstance: options.log } : {}),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 4096 },
    requestTimeout: 30_000,
    forceCloseConnections: true,
    // What never becomes a request: URLs and headers that are none.
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, toProblem(error)),
    clientErrorHandler: answerUnparsable,
    ajv: {
      // Nothing is dropped or converted silently, and every fault is told.
      customOptions: { allErrors: true, removeAdditional: false, coerceTypes: false, useDefaults: false },
    },
  }).withTypeProvider<TypeBoxTypeProvider>() as App;

  // Bodies are JSON; a page of another origin may send text/plain without being asked.
  app.removeContentTypeParser('text/plain');
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (problem.status >= 500 && problem.code === 'internal')
      request.log.error({ err: error }, 'a request failed');
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((request, reply) => {
    const detail = `there is nothing at ${request.method} ${request.url.slice(0, 200)}`;
    return sendProblem(reply, new ProblemError(404, 'not-found', 'Not found', detail));
  });
  guard(app, options);

  const contract = holdRoutesToContract(app);
  await describeRoutes(app, options.version);
  app.after(() => {
    rootRoutes(app, options);
    bridgeRoutes(app, options);
    portRoutes(app, options);
    interfaceRoutes(app, options);
    fdbRoutes(app, options);
    flowRoutes(app, options);
    groupRoutes(app, options);
    meterRoutes(app, options);
    configRoutes(app, options);
    warningRoutes(app, options);
    statisticsRoutes(app, options);
    dropRoutes(app, options);
    eventRoutes(app, options);
    traceRoutes(app, options);
  });
  // Routes may stand in scopes of their own, which are complete by then.
  app.after(() => contract.close());
  await app.ready();
  return app;
}

function guard(app: App, { token, loopbackOnly = false }: AppOptions): void {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const wanted = token === undefined ? null : digest(`Bearer ${token}`);
  app.addHook('onRequest', async (request, reply) => {
    if (loopbackOnly && request.headers.host !== undefined && !isLoopbackHost(request.headers.host)) {
      throw new ProblemError(
        403,
        'wrong-host',
        'Wrong host',
        `this API answers on loopback, not as ${request.headers.host}`,
      );
    }
    if (wanted && !timingSafeEqual(wanted, digest(request.headers.authorization ?? ''))) {
      reply.header('www-authenticate', 'Bearer');
      throw new ProblemError(401, 'unauthorized', 'A token is needed', 'send Authorization: Bearer <token>');
    }
  });
}

/** `localhost`, `127.0.0.1:8080`, `[::1]:8080` */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}
