import type { IncomingMessage } from "node:http";
import type { Accounts } from "../access/accounts.ts";
import { PlyboxError } from "../model/errors.ts";
import { isCheckpointId } from "../model/ids.ts";
import type { Principal } from "../model/principal.ts";
import type { Sandbox } from "../model/sandbox.ts";
import { isSaveLayer } from "../model/saved-sandbox.ts";
import type { Sandboxes } from "../sandbox/sandboxes.ts";
import type { Access } from "./access.ts";
import type { Requirement } from "./required-scope.ts";
import { requiredScope } from "./required-scope.ts";
import type { Named } from "./route.ts";

/** What is asked for, as far as the gate needs to know. */
export interface Errand {
  /** The operation's id in the OpenAPI document. */
  readonly action: string;
  readonly method: string;
  /** Of the route, such as `/v1/sandboxes/:ref`. */
  readonly path: string;
  readonly incoming: IncomingMessage;
  /** The listener's guard. */
  readonly access: Access;
  /** Whether it is written down though its method is GET. */
  readonly recorded?: true;
}

/** What became of a request, for the audit log. */
export interface Recorded {
  readonly principal?: Principal | undefined;
  /** Ids. */
  readonly sandbox?: string | undefined;
  readonly from?: string | undefined;
  readonly status: number;
  readonly code?: string | undefined;
}

/**
 * What stands before every request: who asks, whether they may, whether not too often, and which sandbox of theirs it is
 * about. What changes something is written down, with its result.
 */
export class Gate {
  readonly #accounts: Accounts;
  readonly #sandboxes: Pick<Sandboxes, "get">;

  constructor(accounts: Accounts, sandboxes: Pick<Sandboxes, "get">) {
    this.#accounts = accounts;
    this.#sandboxes = sandboxes;
  }

  /**
   * Who asks.
   * @throws PlyboxError `auth/missing`, `auth/refused`
   */
  identify({ incoming, access }: Errand): Principal {
    return access.check(incoming.headers.authorization);
  }

  /**
   * Whether they may.
   * @throws PlyboxError `auth/scope-missing`, `rate/limited`
   */
  admit(principal: Principal, { method, path }: Errand): void {
    const requirement = requiredScope(method, path);
    if (!satisfies(principal, requirement)) {
      const lacking =
        requirement === "operator" ? "is for the operator of this daemon" : `needs the scope ${requirement}`;
      throw new PlyboxError("auth/scope-missing", `${method} ${path} ${lacking}`);
    }
    const { tenants } = this.#accounts;
    tenants.spend(principal.tenant, "requests");
    const part = path.split("/")[4] ?? "";
    if (part === "terminal" || (part === "exec" && method === "POST")) tenants.spend(principal.tenant, "execs");
  }

  /**
   * The sandbox that `ref` means to the principal. What is another tenant's is answered like what does not exist.
   * @throws PlyboxError `sandbox/not-found`
   */
  find(principal: Principal, ref: string): Sandbox {
    const sandbox = this.#sandboxes.get(ref, principal.tenant);
    if (maySee(principal, sandbox.tenant)) return sandbox;
    throw new PlyboxError("sandbox/not-found", `there is no sandbox ${JSON.stringify(ref)}`);
  }

  /**
   * The ids of what a request names, as far as there is such a thing.
   * @param about the id of the sandbox that its path names: its tenant is the one who has the other
   */
  idsOf({ sandbox, from }: Named, about: string | undefined): Named {
    const id = (sandbox !== undefined ? this.#idOf(sandbox) : undefined) ?? about;
    const source = from === undefined || isCheckpointId(from) ? from : this.#idOf(from, id);
    return { ...(id !== undefined && { sandbox: id }), ...(source !== undefined && { from: source }) };
  }

  #idOf(ref: string, beside?: string): string | undefined {
    try {
      return this.#sandboxes.get(ref, beside === undefined ? undefined : this.#sandboxes.get(beside).tenant).id;
    } catch {
      return undefined;
    }
  }

  /** Writes down what was asked for and what became of it, where it was to change something. */
  record(errand: Errand, result: Recorded): void {
    const { method, action, incoming, recorded } = errand;
    if (recorded !== true && (method === "GET" || method === "HEAD")) return;
    const { principal, sandbox, from, status, code } = result;
    this.#accounts.audit.write({
      at: new Date(),
      tenant: principal?.tenant ?? null,
      by: principal?.name ?? null,
      key: principal?.key ?? null,
      action,
      path: (incoming.url ?? "").split("?", 1)[0]?.slice(0, 1024) ?? "",
      sandbox: sandbox ?? null,
      from: from ?? null,
      status,
      code: code ?? null,
      remote: incoming.socket.remoteAddress ?? null,
    });
  }
}

/** Whether what belongs to `tenant` is shown to the principal. */
export const maySee = (principal: Principal, tenant: string): boolean =>
  principal.isOperator || principal.tenant === tenant;

/** What a sandbox has written is its tenant's, who has it by a restore. */
export const maySeeLayer = ({ isOperator }: Principal, name: string): boolean => isOperator || !isSaveLayer(name);

/** @throws PlyboxError `layer/not-found`, as of what does not exist */
export function requireSeen(principal: Principal, layer: string): void {
  if (!maySeeLayer(principal, layer)) throw new PlyboxError("layer/not-found", `there is no layer ${layer}`);
}

function satisfies({ isOperator, scopes }: Principal, requirement: Requirement): boolean {
  if (isOperator || requirement === "known") return true;
  if (requirement === "operator") return false;
  return scopes.has("admin") || scopes.has(requirement);
}
