/** All that a program file imports: published as `weft/program`, described in docs/writing-a-program.md. */
export { defineProgram, NO_REACTION } from './program.js';
export type {
  FlowChange,
  FlowRemovedEvent,
  InstalledFlow,
  Miss,
  Notice,
  PacketInEvent,
  PortStatusEvent,
  Program,
  ProgramContext,
  ProgramDefinition,
  Reaction,
  TableDeclaration,
} from './program.js';
export { flowLike, moveField, NEXT_PROGRAM } from './flow.js';
export type {
  Action,
  Bucket,
  FieldValue,
  Flow,
  FlowPattern,
  FlowSet,
  Group,
  GroupType,
  Instruction,
  Match,
  MatchField,
  Meter,
  MeterBand,
} from './flow.js';
export { ProgramError } from './pipeline.js';
export { VlanSet } from '../domain/index.js';
export type { Bridge, Interface, LogicalPort, MacAddress, PortNumber, Vid } from '../domain/index.js';
