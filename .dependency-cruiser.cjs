/** The rules of dependency of ARCHITECTURE.md, "Who imports whom". */
const inner = (folders) => `^src/(${folders})/`;
const never = (name, from, to, comment) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from, pathNot: '\\.test\\.ts$' },
  to: { path: to },
});

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      comment: 'Modules that need each other are one module.',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    never('library-stands-alone', '^openflow/src', '^(src|test)/', 'node-openflow is published by itself.'),
    never('domain-is-innermost', inner('domain'), '^src/(?!domain/)', 'The domain knows nobody.'),
    never(
      'ovsdb-core-stands-alone',
      inner('ovsdb'),
      '^src/(?!ovsdb/)',
      'The database engine knows no switch.',
    ),
    never(
      'programs-see-domain-only',
      inner('programs|protocols'),
      '^src/(?!domain/|programs/|protocols/)',
      'Programs are pure functions of the domain.',
    ),
    never(
      'reconcile-below-switches',
      inner('reconcile'),
      '^src/(?!domain/|programs/|protocols/|reconcile/)',
      'Plans are computed without connections.',
    ),
    never(
      'switches-below-api',
      inner('switches'),
      '^src/(api|main|config|datapath|launch)',
      'Drivers do not know who asks.',
    ),
    never(
      'tools-are-clients',
      inner('tools'),
      '^src/(?!tools/|ovsdb/|domain/)',
      'ovs-vsctl and its like know the switch by its protocols only.',
    ),
    never(
      'cli-is-a-client',
      inner('cli'),
      '^src/(?!cli/|domain/|api/(schemas|[a-z]+-schemas))',
      'The command line knows the API, not weftd.',
    ),
    never('main-is-outermost', '^src/(?!main)', '^src/main', 'Nobody imports the composition root.'),
    {
      name: 'pure-core',
      severity: 'error',
      comment: 'The pure core has no sockets, clocks or files.',
      from: { path: inner('domain|programs|protocols|reconcile'), pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'database-shell',
      severity: 'error',
      comment: 'Only the journal touches the disk, only listener, remotes and client have sockets.',
      from: { path: inner('ovsdb'), pathNot: '(journal|listener|remotes|/remote/client|\\.test)[^/]*$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'library-shell',
      severity: 'error',
      comment: 'Only net/ has sockets.',
      from: { path: '^openflow/src', pathNot: '(^openflow/src/net/|\\.test\\.ts$)' },
      to: { dependencyTypes: ['core'], path: '^(node:)?(net|tls|fs|dns|timers|child_process|http)' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|node_modules)/' },
  },
};
