/** Short names for the parts of messages that this folder reads and writes. */

import type { Action, ActionInput } from '../messages/actions.js';

export type ActionOf<T extends Action['type']> = Extract<Action, { type: T }>;
export type ActionInputOf<T extends ActionInput['type']> = Extract<ActionInput, { type: T }>;
