import type { LoggedEvent, MachineEvent, SandboxEvent } from "../../model/event.ts";

/** What is told of an event outside, beside its type, time and sandbox. */
export function eventData(event: SandboxEvent | MachineEvent): Record<string, unknown> {
  switch (event.type) {
    case "sandbox.state":
      // Pids and the like are for those who look at the sandbox.
      return { state: event.state.kind, reason: event.reason };
    case "exec.ended": {
      const { code, ...report } = event.report;
      return { ...report, exitCode: code };
    }
    default: {
      const { sandbox: _sandbox, tenant: _tenant, name: _name, labels: _labels, at: _at, type: _type, ...rest } = event;
      return rest;
    }
  }
}

/** An event as it is told outside, of the shape that docs/api.md gives. */
export const eventJson = ({ id, type, at, sandbox, name, labels, data }: LoggedEvent): object => ({
  id,
  type,
  at: at.toISOString(),
  sandbox,
  name,
  labels,
  data,
});
