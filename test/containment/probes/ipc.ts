import type { Facts, ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC } from "../probe.ts";

const both = (
  name: string,
  tries: string,
  attack: string,
  value: (holder: Facts["host"]) => string,
): ProgramProbe[] => [
  inC(`${name}-of-host`, `open the host's ${tries}`, ({ host }) => [attack, value(host)], { proof: ["ENOENT"] }),
  inC(`${name}-of-neighbour`, `open another sandbox's ${tries}`, ({ neighbour }) => [attack, value(neighbour)], {
    outside: ({ host }) => [attack, value(host)],
    proof: ["ENOENT"],
  }),
];

export const IPC: ProbeGroup = {
  title: "Interprocess communication",
  probes: [
    ...both("shared-memory", "System V shared memory", "shared-memory", ({ key }) => key),
    ...both("semaphores", "System V semaphores", "semaphores", ({ key }) => key),
    ...both("messages", "System V messages", "message-queue", ({ key }) => key),
    ...both("queue", "POSIX message queue", "posix-queue", ({ mark }) => `/${mark}`),
  ],
};
