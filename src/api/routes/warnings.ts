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

export function warningRoutes(app: App, services: Services): void {
  const { configuration } = services;
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
      warnings: [...readWarnings(configuration.database), ...exportNotes(services)],
      faults: configuration.reading.faults.map(({ table, name, column, message }) => ({
        table,
        name,
        column,
        message,
      })),
    }),
  );
}

/** What switches will not observe, and collectors that cannot be reached. */
function exportNotes({ configuration, exporting }: Services) {
  return configuration.reading.network.bridges.flatMap(({ name }) =>
    exporting.status(name).flatMap((each) => {
      const column = each.name.toLowerCase();
      const note = (value: string, message: string) => ({ table: 'Bridge', name, column, value, message });
      const refused = each.refused === null ? [] : [note(each.name, `comes to nothing: ${each.refused}`)];
      const collectors = each.collectors.flatMap(({ target, error }) =>
        error === null ? [] : [note(target, `does not get what it should: ${error}`)],
      );
      return [...refused, ...collectors];
    }),
  );
}
