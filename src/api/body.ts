/** Bodies: everything that is wrong with one is told at once. */
import type { FastifyRequest, FastifySchemaValidationError } from 'fastify';
import { isInterfaceName } from '../config/index.js';
import { mergePatch } from './merge-patch.js';
import { ProblemError, bodyFaults } from './problems.js';
import type { BodyFault } from './problems.js';

interface Validated {
  readonly body: unknown;
  readonly validationError?: object | undefined;
}

/**
 * Refuses a request with everything that is wrong with it: what its schema says and `more`. Routes that use this have
 * `attachValidation`, so that the schema's verdict waits for ours.
 * @param name from the path, of what a PUT may make
 */
export function checkBody(request: Validated, more: readonly BodyFault[], name?: string): void {
  const { validation = [], validationContext } = (request.validationError ?? {}) as {
    validation?: readonly FastifySchemaValidationError[];
    validationContext?: string;
  };
  const faults = [...bodyFaults(validation, validationContext), ...(request.body ? more : [])];
  // Where there are several media types for it, the schema is only asked once there is a body.
  if (request.body === undefined || request.body === null)
    faults.push({ path: '', message: 'a body is wanted' });
  if (name !== undefined && !isInterfaceName(name)) {
    faults.push({ path: '', message: `"${name}" in the path cannot be the name of a network interface` });
  }
  refuse(faults);
}

/**
 * The settings that a merge patch leads to, checked as if they had been put.
 * @param settings as they are
 * @param shape what the result must fit
 * @param repeated members that a patch may repeat from an answer, to no effect
 * @param more what a schema cannot say
 */
export function patched<T>(
  request: FastifyRequest,
  settings: object,
  shape: object,
  repeated: readonly string[],
  more: (result: unknown) => readonly BodyFault[],
): T {
  const patch = { ...(request.body as Record<string, unknown>) };
  for (const key of repeated) delete patch[key];
  const result = mergePatch(settings, patch);
  // Fastify keeps what it has compiled by the schema's identity.
  const validate = request.compileValidationSchema(shape) as unknown as ((value: unknown) => boolean) & {
    errors?: FastifySchemaValidationError[] | null;
  };
  const faults = validate(result) ? [] : bodyFaults(validate.errors ?? []);
  refuse([...faults, ...more(result)]);
  return result as T;
}

/** The schema speaks first about a field; what we would say of the same one may follow from its fault. */
function refuse(faults: readonly BodyFault[]): void {
  const unique = faults.filter((fault, i) => faults.findIndex(({ path }) => path === fault.path) === i);
  if (unique.length > 0)
    throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, unique);
}
