/** weftd killed a thousand times in the middle of transactions: what was acknowledged and lost, or is there by half. */
import { killOften } from '../system/killed.js';
import { printTable, readOptions } from './measure.js';

/** `--kills=N` (1000), `--what=weftd` (or `database`, which alone starts sooner). */
export default async function run(options: string[]): Promise<void> {
  const { word, number } = readOptions(options);
  const kills = number('kills', 1000);
  const what = word('what') === 'database' ? 'database' : 'weftd';
  const report = await killOften(what, kills, (sofar) => {
    if (sofar.kills % 50 === 0) process.stderr.write(`${JSON.stringify(sofar)}\n`);
  });
  printTable([
    ['kills', 'acknowledged', 'lost', 'by half', 'there unheard'],
    [report.kills, report.acknowledged, report.lost, report.half, report.unheard].map(String),
  ]);
}
