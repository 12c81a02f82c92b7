/**
 * Validators of requests, each compiled when its route is first asked for: compiling all of them takes longer than
 * everything else that weftd does when it starts. That every schema can be compiled is what test/api/contract.test.ts sees to,
 * which asks every route.
 */
import { AjvCompiler } from '@fastify/ajv-compiler';
import type { BuildCompilerFromPool, ValidatorFactory } from '@fastify/ajv-compiler';

type Compile = ReturnType<BuildCompilerFromPool>;
type AnyValidateFunction = ReturnType<Compile>;

/** In place of Fastify's own factory of validators, for `schemaController`. */
export function lazyValidators(): ValidatorFactory {
  const factory = AjvCompiler();
  const build: BuildCompilerFromPool = (externalSchemas, options) => {
    let compile: Compile | undefined;
    return (route) => {
      let compiled: AnyValidateFunction | undefined;
      const validate = (data: unknown): unknown => {
        compiled ??= (compile ??= factory(externalSchemas, options))(route);
        const result: unknown = compiled(data);
        // Fastify looks for them here.
        validate.errors = compiled.errors;
        return result;
      };
      validate.errors = undefined as AnyValidateFunction['errors'];
      return validate as unknown as AnyValidateFunction;
    };
  };
  return build;
}
