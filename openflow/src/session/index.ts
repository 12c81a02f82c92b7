/** The sans-IO session and the machines beside it. */
export { DEFAULT_SESSION, Session, type Token } from './session.js';
export type { CloseReason, RequestFailure, SessionConfig, SessionEvent } from './events.js';
export { Framer, FramingError, MAX_MESSAGE_BYTES } from './framing.js';
export { isHello, negotiate, readHello, writeHello, writeHelloFailed } from './hello.js';
export { MultipartJoin, type JoinResult, type MultipartLimits } from './multipart.js';
export {
  DEFAULT_RECONNECT,
  RECONNECT_IDLE,
  reconnectDeadline,
  stepReconnect,
  type ReconnectConfig,
  type ReconnectInput,
  type ReconnectOutput,
  type ReconnectState,
  type ReconnectStep,
} from './reconnect.js';
export {
  emptyRoles,
  forgetRole,
  isStaleGeneration,
  requestRole,
  roleOf,
  type Role,
  type RoleOutcome,
  type RoleTable,
} from './role.js';
