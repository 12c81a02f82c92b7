import { format } from 'prettier';
import { expect, test } from 'vitest';
import { publishedSchema } from './index.js';

/** Where editors find it (`# yaml-language-server: $schema=…`). */
const FILE = new URL('../../../docs/config.schema.json', import.meta.url);

test('the schema that is shipped for editors is the one that is enforced', async () => {
  const text = await format(JSON.stringify(publishedSchema()), { parser: 'json', printWidth: 110 });
  // After a change: vitest --update writes the file anew.
  await expect(text).toMatchFileSnapshot(FILE.pathname);
});
