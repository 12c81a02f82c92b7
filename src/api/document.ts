/** The OpenAPI document, made from the routes, and the page at /docs that shows it and sends requests. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { App } from './plugin.js';
import { allComponents } from './schemas.js';

const DESCRIPTION = `Bridges, ports, VLANs and what they have learned; the flows, groups and meters of each bridge.

**Changes** are answered when they are on disk and the switch forwards so, or with 202 and \`pending\`, which says why it does
not yet. \`PUT\` is idempotent: the same twice changes nothing. What has been removed once is answered 404 by a second
\`DELETE\`. \`PATCH\` takes JSON merge patches (RFC 7396).

**Lost updates**: what \`GET\` shows has an \`ETag\`; a change with \`If-Match: <etag>\` is refused with 412 if somebody else was
faster. The tag is that of the configuration: counters and the state of links do not change it.

**Errors** are problem documents (RFC 9457); \`errors\` has every fault of a request, each with its JSON pointer.`;

const TAGS = {
  service: 'Weft itself',
  bridges: 'Bridges',
  ports: 'Ports, bonds and their interfaces',
  fdb: 'The MAC table: learned, static, flushed',
  tables: "Flows, groups and meters: every one to read, users' own to change",
  config: 'The whole configuration at once',
  observe: 'What is going on',
} as const;

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "img-src 'self' data:",
  "object-src 'none'",
].join('; ');

/** To be called before any route is there. */
export async function describeRoutes(app: App, version: string): Promise<void> {
  for (const schema of allComponents()) app.addSchema(schema);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Weft',
        version,
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A token of scope read or write; none is asked for on a unix socket, and on loopback only where there are any',
          },
        },
      },
      security: [{}, { token: [] }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) =>
        typeof json.$id === 'string' ? json.$id : `schema-${i}`,
    },
  });
  // Everything it shows comes from here: it works on a host without a way out.
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { docExpansion: 'list', deepLinking: true, validatorUrl: null },
    theme: { title: 'Weft' },
  });
}
