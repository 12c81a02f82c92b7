/** `weft doctor`: checks this host, whether weftd runs or not. */
import type { Context, Options, Result } from '../context.js';
import { diagnose } from '../doctor/checks.js';
import type { Finding } from '../doctor/checks.js';
import { gatherFacts } from '../doctor/gather.js';
import type { Style } from '../text.js';
import { count, printable } from '../text.js';

export async function doctor(context: Context, options: Options): Promise<Result> {
  const findings = diagnose(await gatherFacts(context.client, String(options['rundir'])));
  const problems = findings.filter(({ level }) => level === 'problem').length;
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  const { style } = context;
  const total =
    problems > 0
      ? style.bad(count(problems, 'problem'))
      : warnings > 0
        ? style.warn(count(warnings, 'warning'))
        : style.good('all is well');
  return {
    json: { findings, problems, warnings },
    text: [...findings.map((each) => describe(style, each)), '', total].join('\n'),
    outcome: problems > 0 ? 'failed' : 'done',
  };
}

function describe(style: Style, { check, level, what, remedy }: Finding): string {
  const mark = {
    ok: style.good('ok     '),
    note: style.accent('note   '),
    warning: style.warn('warning'),
    problem: style.bad('PROBLEM'),
  }[level];
  const line = `${mark}  ${style.bold(check)}: ${printable(what)}`;
  return remedy === undefined ? line : `${line}\n         ${style.dim('→')} ${remedy}`;
}
