/** /v1/warnings: what the database asks for and the switch does not do. */
import { Type } from 'typebox';
import { readWarnings } from '../../config/index.js';
import type { App } from '../plugin.js';
import type { Services } from '../services.js';

const Note = Type.Object({
  table: Type.String({ examples: ['Bridge'] }),
  name: Type.String(),
  column: Type.String({ description: 'For maps with the key: other_config:stp-priority' }),
  value: Type.String(),
  message: Type.String({ examples: ['is set, and Weft does not act on it'] }),
});
const WarningsView = Type.Object({
  warnings: Type.Array(Note, { description: 'Settings of the database that Weft does not act on' }),
  faults: Type.Array(Type.Omit(Note, ['value']), {
    description: 'Settings that make no sense and are taken as absent',
  }),
});

export function warningRoutes(app: App, { configuration }: Services): void {
  app.get(
    '/v1/warnings',
    {
      schema: {
        tags: ['service'],
        summary: 'Settings that nothing comes of: not acted on by Weft, or faulty',
        response: { 200: WarningsView },
      },
    },
    () => ({
      warnings: readWarnings(configuration.database),
      faults: configuration.reading.faults.map(({ table, name, column, message }) => ({
        table,
        name,
        column,
        message,
      })),
    }),
  );
}
