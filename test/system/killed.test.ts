import { expect, test } from 'vitest';
import { killOften } from './killed.js';

test.each([
  ['weftd', 3],
  ['database', 20],
] as const)(
  '%s killed %i times: every acknowledged transaction is there, none by half',
  async (what, kills) => {
    const report = await killOften(what, kills);
    expect(report).toMatchObject({ kills, lost: 0, half: 0 });
    expect(report.acknowledged).toBeGreaterThan(kills);
  },
);
