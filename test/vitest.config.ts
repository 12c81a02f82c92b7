import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));
const alias = {
  'node-openflow': `${root}openflow/src/index.ts`,
  'weft/program': `${root}src/programs/sdk.ts`,
  'weft/testing': `${root}test/model/index.ts`,
};

export default defineConfig({
  root,
  test: {
    reporters: ['default'],
    projects: [
      {
        root,
        resolve: { alias },
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'openflow/**/*.test.ts',
            'test/model/**/*.test.ts',
            'test/api/**/*.test.ts',
            'test/cli/**/*.test.ts',
            'test/docs/**/*.test.ts',
            'docs/examples/**/*.test.ts',
          ],
          exclude: ['**/node_modules/**', '**/dist/**'],
        },
      },
      {
        root,
        resolve: { alias },
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts', 'test/interop/**/*.test.ts'],
          // One at a time: each builds its own namespaces on a machine of two cores.
          pool: 'forks',
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
