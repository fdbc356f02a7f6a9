import { PlyboxError } from "../../model/errors.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * The variable of `--env K=V`, or, for `--env K`, the caller's own K.
 * @throws PlyboxError `input/invalid`
 */
export function parseVariable(text: string, own: NodeJS.ProcessEnv): readonly [name: string, value: string] {
  const equals = text.indexOf("=");
  const name = equals === -1 ? text : text.slice(0, equals);
  if (!NAME.test(name)) {
    throw new PlyboxError(
      "input/invalid",
      `not a variable: ${JSON.stringify(text.slice(0, 40))}; write NAME=VALUE, with a name of letters, digits and _`,
    );
  }
  if (equals !== -1) return [name, text.slice(equals + 1)];
  const value = own[name];
  if (value === undefined) {
    throw new PlyboxError("input/invalid", `${name} is not set here; write ${name}=VALUE`);
  }
  return [name, value];
}
