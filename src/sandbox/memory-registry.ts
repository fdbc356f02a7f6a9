import type { Registry, RegistryEntry } from "./registry.ts";

/** For sandboxes that do not outlive this process. */
export function memoryRegistry(): Registry {
  const entries = new Map<string, RegistryEntry>();
  return {
    put: (entry) => void entries.set(entry.sandbox.id, entry),
    update: (sandbox) => {
      const entry = entries.get(sandbox.id);
      if (entry !== undefined) entries.set(sandbox.id, { ...entry, sandbox });
    },
    restack: (entry) => {
      if (entries.has(entry.sandbox.id)) entries.set(entry.sandbox.id, entry);
    },
    delete: (id) => void entries.delete(id),
    all: () => [...entries.values()].map((entry) => ({ ...entry, hasRebooted: false })),
  };
}
