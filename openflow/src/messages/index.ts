/** All declarations. Each value is a codec; the type of the same name is what it decodes to. */

import type { Input, Static } from '../codec/codec.js';
import type * as errors from './errors.js';
import type * as experimenter from './experimenter.js';
import type * as flows from './flows.js';
import type * as groups from './groups.js';
import type * as handshake from './handshake.js';
import type * as meters from './meters.js';
import type * as multipart from './multipart.js';
import type * as observers from './observers.js';
import type * as packets from './packets.js';
import type * as ports from './ports.js';
import type * as queues from './queues.js';
import type * as roles from './roles.js';
import type * as statistics from './statistics.js';
import type * as features from './table-features.js';

export {
  ControllerRole,
  FlowModFlags,
  FlowRemovedReason,
  Group,
  GroupType,
  MAX_LENGTH_NO_BUFFER,
  Meter,
  MeterFlags,
  NO_BUFFER,
  PacketInReason,
  Port,
  PortReason,
  Queue,
  Table,
  TableConfig,
  VERSION,
  VlanVid,
} from './constants.js';
export { Action, Actions, type ActionInput } from './actions.js';
export { ControllerProperty, type ControllerPropertyInput } from './nicira-actions.js';
export { type LearnField, type LearnSpec } from './learn.js';
export { Instruction, Instructions, type InstructionInput } from './instructions.js';
export {
  BarrierReply,
  BarrierRequest,
  EchoReply,
  EchoRequest,
  FeaturesReply,
  FeaturesRequest,
  GetConfigReply,
  GetConfigRequest,
  Hello,
  HelloElement,
  SetConfig,
  type HelloElementInput,
} from './handshake.js';
export { ErrorMessage, ErrorType, ExperimenterError } from './errors.js';
export { PortConfig, PortDesc, PortFeatures, PortMod, PortState, PortStatus } from './ports.js';
export { FlowMod, FlowModCommand, FlowRemoved, TableMod } from './flows.js';
export { Bucket, GroupMod, GroupModCommand } from './groups.js';
export { MeterBand, MeterBands, MeterMod, MeterModCommand, type MeterBandInput } from './meters.js';
export {
  PacketQueue,
  QueueGetConfigReply,
  QueueGetConfigRequest,
  QueueProperty,
  type QueuePropertyInput,
} from './queues.js';
export { PacketIn, PacketOut } from './packets.js';
export { GetAsyncReply, GetAsyncRequest, RoleReply, RoleRequest, SetAsync } from './roles.js';
export {
  BucketCounter,
  FlowStats,
  GroupDesc,
  GroupStats,
  MeterBandStats,
  MeterConfig,
  MeterStats,
  PortStats,
  QueueStats,
  TableStats,
} from './statistics.js';
export {
  ActionId,
  InstructionId,
  TableFeatures,
  TableProperty,
  type TablePropertyInput,
} from './table-features.js';
export {
  MultipartReply,
  MultipartReplyBody,
  MultipartRequest,
  MultipartRequestBody,
  type MultipartReplyBodyInput,
  type MultipartRequestBodyInput,
} from './multipart.js';
export {
  FlowRecord,
  OBSERVER_ALL,
  ObserverErrorCode,
  ObserverFlowRecords,
  ObserverFlush,
  ObserverMod,
  ObserverSample,
  ObserverSamples,
  ObserverStats,
} from './observers.js';
export {
  BundleErrorCode,
  BundleProperty,
  Experimenter,
  PacketInProperty,
  type PacketInPropertyInput,
} from './experimenter.js';
export {
  BundleAddMessage,
  Message,
  type MessageInput,
  type PlainMessage,
  type PlainMessageInput,
} from './message.js';

export type Hello = Static<typeof handshake.Hello>;
export type EchoRequest = Static<typeof handshake.EchoRequest>;
export type EchoReply = Static<typeof handshake.EchoReply>;
export type FeaturesRequest = Static<typeof handshake.FeaturesRequest>;
export type FeaturesReply = Static<typeof handshake.FeaturesReply>;
export type GetConfigRequest = Static<typeof handshake.GetConfigRequest>;
export type GetConfigReply = Static<typeof handshake.GetConfigReply>;
export type SetConfig = Static<typeof handshake.SetConfig>;
export type BarrierRequest = Static<typeof handshake.BarrierRequest>;
export type BarrierReply = Static<typeof handshake.BarrierReply>;
export type ErrorMessage = Static<typeof errors.ErrorMessage>;
export type ExperimenterError = Static<typeof errors.ExperimenterError>;
export type PortDesc = Static<typeof ports.PortDesc>;
export type PortDescInput = Input<typeof ports.PortDesc>;
export type PortStatus = Static<typeof ports.PortStatus>;
export type PortMod = Static<typeof ports.PortMod>;
export type PortModInput = Input<typeof ports.PortMod>;
export type FlowMod = Static<typeof flows.FlowMod>;
export type FlowModInput = Input<typeof flows.FlowMod>;
export type FlowRemoved = Static<typeof flows.FlowRemoved>;
export type TableMod = Static<typeof flows.TableMod>;
export type Bucket = Static<typeof groups.Bucket>;
export type BucketInput = Input<typeof groups.Bucket>;
export type GroupMod = Static<typeof groups.GroupMod>;
export type GroupModInput = Input<typeof groups.GroupMod>;
export type MeterMod = Static<typeof meters.MeterMod>;
export type MeterModInput = Input<typeof meters.MeterMod>;
export type PacketQueue = Static<typeof queues.PacketQueue>;
export type QueueGetConfigRequest = Static<typeof queues.QueueGetConfigRequest>;
export type QueueGetConfigReply = Static<typeof queues.QueueGetConfigReply>;
export type PacketIn = Static<typeof packets.PacketIn>;
export type PacketOut = Static<typeof packets.PacketOut>;
export type PacketOutInput = Input<typeof packets.PacketOut>;
export type RoleRequest = Static<typeof roles.RoleRequest>;
export type RoleReply = Static<typeof roles.RoleReply>;
export type GetAsyncRequest = Static<typeof roles.GetAsyncRequest>;
export type GetAsyncReply = Static<typeof roles.GetAsyncReply>;
export type SetAsync = Static<typeof roles.SetAsync>;
export type FlowStats = Static<typeof statistics.FlowStats>;
export type FlowStatsInput = Input<typeof statistics.FlowStats>;
export type TableStats = Static<typeof statistics.TableStats>;
export type PortStats = Static<typeof statistics.PortStats>;
export type QueueStats = Static<typeof statistics.QueueStats>;
export type BucketCounter = Static<typeof statistics.BucketCounter>;
export type GroupStats = Static<typeof statistics.GroupStats>;
export type GroupDesc = Static<typeof statistics.GroupDesc>;
export type MeterBandStats = Static<typeof statistics.MeterBandStats>;
export type MeterStats = Static<typeof statistics.MeterStats>;
export type MeterConfig = Static<typeof statistics.MeterConfig>;
export type ActionId = Static<typeof features.ActionId>;
export type InstructionId = Static<typeof features.InstructionId>;
export type TableFeatures = Static<typeof features.TableFeatures>;
export type TableFeaturesInput = Input<typeof features.TableFeatures>;
export type MultipartRequest = Static<typeof multipart.MultipartRequest>;
export type MultipartRequestInput = Input<typeof multipart.MultipartRequest>;
export type MultipartReply = Static<typeof multipart.MultipartReply>;
export type MultipartReplyInput = Input<typeof multipart.MultipartReply>;
export type FlowRecord = Static<typeof observers.FlowRecord>;
export type ObserverSample = Static<typeof observers.ObserverSample>;
export type ObserverStats = Static<typeof observers.ObserverStats>;
export type ObserverMod = Static<typeof observers.ObserverMod>;
export type ObserverModInput = Input<typeof observers.ObserverMod>;
export type ObserverFlush = Static<typeof observers.ObserverFlush>;
export type ObserverSamples = Static<typeof observers.ObserverSamples>;
export type ObserverFlowRecords = Static<typeof observers.ObserverFlowRecords>;
export type Experimenter = Static<typeof experimenter.Experimenter>;
export type BundleProperty = Static<typeof experimenter.BundleProperty>;
