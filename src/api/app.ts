/** The REST API, without a socket: `server.ts` listens, tests inject. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { LogController, fastify } from 'fastify';
import type { FastifyBaseLogger } from 'fastify';
import { holdRoutesToContract } from './contract.js';
import { describeRoutes } from './document.js';
import type { App } from './plugin.js';
import { audit } from './audit.js';
import type { AuditLog } from './audit.js';
import { ProblemError, answerUnparsable, sendProblem, toProblem } from './problems.js';
import { bridgeRoutes } from './routes/bridges.js';
import { configRoutes } from './routes/config.js';
import { exportRoutes } from './routes/exports.js';
import { fastPathRoutes } from './routes/fastpath.js';
import { fdbRoutes } from './routes/fdb.js';
import { flowRoutes } from './routes/flows.js';
import { groupRoutes } from './routes/groups.js';
import { readyRoutes } from './routes/health.js';
import { interfaceRoutes } from './routes/interfaces.js';
import { meterRoutes } from './routes/meters.js';
import { metricsRoutes } from './routes/metrics.js';
import { mirrorRoutes } from './routes/mirrors.js';
import { portRoutes } from './routes/ports.js';
import { rootRoutes } from './routes/root.js';
import { dropRoutes } from './routes/drops.js';
import { eventRoutes } from './routes/events.js';
import { statisticsRoutes } from './routes/statistics.js';
import { topRoutes } from './routes/top.js';
import { traceRoutes } from './routes/trace.js';
import { warningRoutes } from './routes/warnings.js';
import { guard } from './security.js';
import type { Policy, Tokens } from './security.js';
import type { Services } from './services.js';
import { lazyValidators } from './validators.js';

export interface AppOptions extends Services {
  readonly log?: FastifyBaseLogger;
  /** Who may come in by listeners that want a token. */
  readonly tokens?: Tokens;
  /** Of requests that come by no listener; default: a token where there are any, from whatever host. */
  readonly policy?: Policy;
  readonly auditLog?: AuditLog;
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
    schemaController: { compilersFactory: { buildValidator: lazyValidators() } },
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
  const { tokens, policy, auditLog } = options;
  guard(app, tokens, policy ?? { needsToken: tokens !== undefined, loopbackOnly: false });

  if (auditLog) audit(app, options, auditLog);

  const contract = holdRoutesToContract(app);
  await describeRoutes(app, options.version);
  app.after(() => {
    rootRoutes(app, options);
    bridgeRoutes(app, options);
    portRoutes(app, options);
    interfaceRoutes(app, options);
    mirrorRoutes(app, options);
    exportRoutes(app, options);
    topRoutes(app, options);
    fdbRoutes(app, options);
    flowRoutes(app, options);
    groupRoutes(app, options);
    meterRoutes(app, options);
    configRoutes(app, options);
    warningRoutes(app, options);
    statisticsRoutes(app, options);
    dropRoutes(app, options);
    fastPathRoutes(app, options);
    eventRoutes(app, options);
    traceRoutes(app, options);
    readyRoutes(app, options);
    metricsRoutes(app, options);
  });
  // Routes may stand in scopes of their own, which are complete by then.
  app.after(() => contract.close());
  await app.ready();
  return app;
}
