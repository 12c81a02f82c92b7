/** What Weft says about itself over the REST API. */
import { Type } from 'typebox';
import { component, orNull, word } from './common.js';

const health = { connected: Type.Boolean(), lastError: orNull(Type.String()) };
export const HealthView = component(
  'Health',
  Type.Object({
    status: word(['ok', 'degraded', 'failed'], {
      description: 'degraded: the database is fine, a switch is not in order',
    }),
    database: Type.Object({
      ok: Type.Boolean(),
      bytes: orNull(Type.Integer()),
      error: orNull(Type.String()),
    }),
    datapath: Type.Object({
      ...health,
      pid: orNull(Type.Integer()),
      version: orNull(Type.String()),
      forwarding: orNull(
        Type.Union([Type.Literal('kernel'), Type.Literal('user-space')], {
          description: 'Who forwards known flows: the kernel by eBPF, or weft-datapath itself',
        }),
      ),
      whyUserSpace: orNull(Type.String({ description: 'Why it is not the kernel' })),
    }),
    switches: Type.Array(Type.Object({ bridge: Type.String(), inSync: Type.Boolean(), ...health })),
    faults: Type.Array(
      Type.Object({
        table: Type.String(),
        name: Type.String(),
        column: Type.String(),
        message: Type.String(),
      }),
    ),
  }),
);
export const RootView = component(
  'Root',
  Type.Object({
    name: Type.String(),
    version: Type.String(),
    openapi: Type.String(),
    docs: Type.String(),
    bridges: Type.String(),
  }),
);
