/** docker-compose.yml and the Dockerfiles, checked as far as they can be without a container engine. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { projectRoot, sh } from './lab.js';

test('docker-compose accepts the file and resolves both services', async () => {
  const output = await sh(
    'docker-compose',
    '-f',
    join(projectRoot, 'docker-compose.yml'),
    'config',
    '--services',
  );
  expect(output.trim().split('\n').sort()).toEqual(['controller', 'datapath']);
});

test.each(['datapath/Dockerfile', 'src/Dockerfile'])('%s copies only what exists', (file) => {
  const text = readFileSync(join(projectRoot, file), 'utf8');
  const sources = [...text.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, words]) =>
    words!.trim().split(/\s+/).slice(0, -1),
  );
  expect(sources.length).toBeGreaterThan(0);
  for (const source of sources) expect(existsSync(join(projectRoot, source)), source).toBe(true);
});

test('every instruction of the Dockerfiles is one that Docker knows, every stage named in --from exists', () => {
  const known = /^(FROM|RUN|WORKDIR|COPY|ENV|STOPSIGNAL|ENTRYPOINT|CMD|HEALTHCHECK|#.*)$/;
  for (const file of ['datapath/Dockerfile', 'src/Dockerfile']) {
    const text = readFileSync(join(projectRoot, file), 'utf8').replaceAll('\\\n', ' ');
    for (const line of text.split('\n').filter(Boolean))
      expect(line.startsWith('#') || known.test(line.split(/\s/)[0]!), line).toBe(true);
    const stages = [...text.matchAll(/^FROM \S+ AS (\S+)/gm)].map(([, name]) => name);
    for (const [, stage] of text.matchAll(/--from=(\S+)/g)) expect(stages).toContain(stage);
    expect(dirname(file)).toMatch(/^(datapath|src)$/);
  }
});
