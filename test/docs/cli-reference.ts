/** docs/cli-reference.md, from the declarations of the commands. */
import type { Command, Option } from 'commander';
import { EXIT } from '../../src/cli/errors.js';
import { buildProgram } from '../../src/cli/program.js';
import { defaultOf, examplesOf, fullName, leaves } from '../../src/cli/tree.js';
import { cell } from './markdown.js';

export function cliReference(): string {
  const program = buildProgram();
  const commands = leaves(program);
  return [
    '# `weft`: every command',
    'Made from the declarations in `src/cli`; do not edit, run `npm run docs`.',
    `${program.description()} \`weft COMMAND --help\` says the same as this page.`,
    [
      '| command | |',
      '| - | - |',
      ...commands.map(
        (each) =>
          `| [\`${fullName(each)}\`](#${anchor(each)}) | ${cell(firstSentence(each.description()))} |`,
      ),
    ].join('\n'),
    '## Options of every command',
    optionTable(program.options),
    'They may stand anywhere on the line. With `--json` a command prints what the API answers ([REST reference](rest-reference.md)), one object a line with `--watch`.',
    '## Exit status',
    [
      '| status | |',
      '| - | - |',
      ...Object.values(EXIT).map(({ status, meaning }) => `| ${status} | ${cell(meaning)} |`),
    ].join('\n'),
    'Errors are one line on standard error that begins with `weft:`. Where a request has several faults, the line names all of them.',
    '## Environment',
    [
      '| variable | |',
      '| - | - |',
      ...[...program.options, ...commands.flatMap(({ options }) => options)]
        .filter((option) => option.envVar !== undefined)
        .map((option) => `| \`${option.envVar}\` | stands for \`${option.long}\` |`),
      '| `NO_COLOR` | set to anything: no colours |',
    ].join('\n'),
    '## Commands',
    ...commands.map(section),
  ].join('\n\n');
}

function section(command: Command): string {
  const name = fullName(command);
  const words = command.registeredArguments.map((each) => {
    const text = each.variadic ? `${each.name().toUpperCase()}…` : each.name().toUpperCase();
    return each.required ? text : `[${text}]`;
  });
  const group = command.parent;
  const isDefault = group && defaultOf(group) === command;
  return [
    `### ${name}`,
    `\`${[name, ...words, ...(command.options.length > 0 ? ['[OPTIONS]'] : [])].join(' ')}\``,
    `${capital(command.description())}${/[.)]$/.test(command.description()) ? '' : '.'}${isDefault ? ` \`${fullName(group)}\` alone means this.` : ''}`,
    ...(command.options.length > 0 ? [optionTable(command.options)] : []),
    ...(examplesOf(command).length > 0
      ? [
          `Such as ${examplesOf(command)
            .map((each) => `\`${each}\``)
            .join(', ')}.`,
        ]
      : []),
  ].join('\n\n');
}

function optionTable(options: readonly Option[]): string {
  const rows = options
    .filter((option) => !option.hidden)
    .map((option) => {
      const notes = [
        option.description,
        ...(option.argChoices && !option.flags.includes('|')
          ? [`one of ${option.argChoices.join(', ')}`]
          : []),
        ...(option.defaultValue === undefined ? [] : [`default ${String(option.defaultValue)}`]),
      ];
      return `| ${option.flags
        .split(', ')
        .map((flag) => `\`${flag.replaceAll('|', '\\|')}\``)
        .join(', ')} | ${cell(notes.join('; '))} |`;
    });
  return ['| option | |', '| - | - |', ...rows].join('\n');
}

const anchor = (command: Command) => fullName(command).replaceAll(' ', '-');
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const firstSentence = (text: string) => text.split('. ')[0] ?? text;
