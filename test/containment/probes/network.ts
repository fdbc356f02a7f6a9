import type { ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC, inPython } from "../probe.ts";

const METADATA = "169.254.169.254";

const sockets = (name: string, tries: string, ...numbers: string[]): ProgramProbe =>
  inC(`socket-${name}`, `open ${tries}`, ["socket", ...numbers], {
    proof: ["EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT"],
    lacks: { EAFNOSUPPORT: "this kernel has no such sockets", EPROTONOSUPPORT: "this kernel has no such sockets" },
  });

const unreachable = { proof: ["ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ENOENT", "ETIMEDOUT", "EINPROGRESS"] };

export const NETWORK: ProbeGroup = {
  title: "Networks and sockets",
  probes: [
    sockets("raw", "a raw IPv4 socket", "2", "3", "1"),
    sockets("raw6", "a raw IPv6 socket", "10", "3", "58"),
    sockets("packet", "a packet socket", "17", "3", "768"),
    sockets("packet-datagram", "a packet socket without headers", "17", "2", "768"),
    sockets("xdp", "an express data path socket", "44", "3", "0"),
    sockets("vsock", "a socket to the hypervisor", "40", "1", "0"),
    sockets("algorithm", "a socket to the kernel's ciphers", "38", "5", "0"),
    sockets("keys", "a socket to the kernel's IPsec keys", "15", "3", "2"),
    inC("audit", "ask the audit for its state", ["ask-audit"], {
      proof: ["ECONNREFUSED", "EINVAL"],
      lacks: { EPROTONOSUPPORT: "this kernel has no audit" },
    }),
    inC("interface-make", "make a pair of interfaces", ["make-interface", "veth"], { disposable: true }),
    inC("interface-up", "bring an interface up", ["bring-up"], { disposable: true }),
    inC("address-add", "give an interface an address", ["add-address", "192.0.2.1"], { disposable: true }),
    inC("route-make", "make a route", ["make-route"], { disposable: true }),
    inC("metadata", "reach the metadata service of clouds", ["reach", METADATA, "80"], {
      ...unreachable,
      disposable: true,
      before: `$ATTACKS bring-up && $ATTACKS add-address ${METADATA}`,
    }),
    inC("loopback-host", "reach a listener on the host's loopback", ({ host }) => ["loopback", host.port], unreachable),
    inC(
      "loopback-neighbour",
      "reach a listener on another sandbox's loopback",
      ({ neighbour }) => {
        return ["loopback", neighbour.port];
      },
      { ...unreachable, outside: ({ host }) => ["loopback", host.port] },
    ),
    inC(
      "abstract-host",
      "reach a listener on the host's abstract socket",
      ({ host }) => ["abstract-socket", host.mark],
      unreachable,
    ),
    inC(
      "abstract-neighbour",
      "reach another sandbox's abstract socket",
      ({ neighbour }) => {
        return ["abstract-socket", neighbour.mark];
      },
      { ...unreachable, outside: ({ host }) => ["abstract-socket", host.mark] },
    ),
    inPython("port-table", "find the host's listener in /proc/net/tcp", ({ host }) => ["see-port", host.port], {
      proof: ["NONE"],
    }),
    inPython(
      "socket-table",
      "find the host's abstract socket in /proc/net/unix",
      ({ host }) => ["see-socket-name", host.mark],
      {
        proof: ["NONE"],
      },
    ),
  ],
};
