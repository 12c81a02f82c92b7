import type { FastifySchemaValidationError } from 'fastify';
import { isInterfaceName } from '../config/index.js';
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
  if (name !== undefined && !isInterfaceName(name)) {
    faults.push({ path: '', message: `"${name}" in the path cannot be the name of a network interface` });
  }
  // The schema speaks first about a field; what we would say of the same one may follow from its fault.
  const unique = faults.filter((fault, i) => faults.findIndex(({ path }) => path === fault.path) === i);
  if (unique.length > 0)
    throw new ProblemError(400, 'invalid', 'The request is not valid', undefined, unique);
}
