/** The control sockets that `ovs-appctl` finds: commands of ovs-vswitchd(8) and ovsdb-server(1), in their words. */
export { CommandError, CommandTable } from './command.js';
export type { Command } from './command.js';
export { Coverage, SAMPLE_PERIOD_S } from './coverage.js';
export { ControlSockets } from './listener.js';
export type { Programs } from './listener.js';
export { bondCommands } from './commands/bond.js';
export { fdbCommands } from './commands/fdb.js';
export type { StaticEntries } from './commands/fdb.js';
export { ofprotoCommands } from './commands/ofproto.js';
export { ovsdbServerCommands } from './commands/ovsdb-server.js';
export type { DatabaseControl } from './commands/ovsdb-server.js';
export { processCommands } from './commands/process.js';
export type { LogLevel, LogLevels, ProcessControl } from './commands/process.js';
export { traceCommand } from './commands/trace.js';
export type { SwitchView } from './view.js';
