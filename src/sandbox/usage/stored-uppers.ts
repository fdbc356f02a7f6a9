import { roomOf } from "../../base/room-of.ts";
import type { Medium } from "../../model/checkpoint.ts";
import type { Sandbox } from "../../model/sandbox.ts";
import type { UpperStorage } from "../../model/storage.ts";
import type { SnapshotPools } from "../../snapshots/pools/snapshot-pools.ts";
import type { SandboxCheckpoints } from "../sandbox-checkpoints.ts";
import type { Filled } from "./pressure.ts";
import type { UpperRooms } from "./upper-rooms.ts";

const MEDIA: readonly Medium[] = ["memory", "disk"];

interface Sources {
  readonly sandboxes: {
    list(): readonly Sandbox[];
    readonly checkpoints: Pick<SandboxCheckpoints, "list" | "packed">;
  };
  readonly pools: SnapshotPools | undefined;
}

/** What `plybox df` shows beside the layers. */
export class StoredUppers {
  readonly #rooms: UpperRooms;
  readonly #sources: Sources;

  constructor(rooms: UpperRooms, sources: Sources) {
    this.#rooms = rooms;
    this.#sources = sources;
  }

  usage(): UpperStorage {
    const { sandboxes, pools } = this.#sources;
    const counts = new Map<string, { checkpoints: number; packedBytes: number }>();
    let packedBytes = 0;
    for (const checkpoint of sandboxes.checkpoints.list()) {
      const count = counts.get(checkpoint.origin.id) ?? { checkpoints: 0, packedBytes: 0 };
      const bytes = sandboxes.checkpoints.packed(checkpoint)?.bytes ?? 0;
      count.checkpoints += 1;
      count.packedBytes += bytes;
      packedBytes += bytes;
      counts.set(checkpoint.origin.id, count);
    }
    const uppers = sandboxes.list().map((sandbox) => ({
      ...{ sandbox: sandbox.id, tenant: sandbox.tenant, name: sandbox.name, kind: sandbox.upper.kind },
      usedBytes: this.#rooms.usedBytes(sandbox),
      limitBytes: this.#rooms.limitBytes(sandbox),
      ...(counts.get(sandbox.id) ?? { checkpoints: 0, packedBytes: 0 }),
    }));
    return {
      uppers,
      upperBytes: uppers.reduce((sum, { usedBytes }) => sum + (usedBytes ?? 0), 0),
      packedBytes,
      pools: roomsOf(pools),
    };
  }
}

function roomsOf(pools: SnapshotPools | undefined): UpperStorage["pools"] {
  return MEDIA.flatMap((medium) => {
    const room = pools?.[medium].room();
    return room === undefined ? [] : [{ medium, ...room }];
  });
}

interface Watched extends Pick<Sources, "pools"> {
  readonly sandboxes: readonly Sandbox[];
  readonly uppers: UpperRooms;
  readonly stateDir: string;
}

/** How full everything is that may get full. Uppers that only their medium bounds are not walked for it. */
export function* fillings({ sandboxes, uppers, pools, stateDir }: Watched): Generator<Filled> {
  yield { storage: "state-directory", sandbox: null, ...roomOf(stateDir) };
  for (const { medium, ...room } of roomsOf(pools)) yield { storage: `${medium}-pool`, sandbox: null, ...room };
  for (const sandbox of sandboxes) {
    const room = uppers.room(sandbox);
    if (room !== undefined) yield { storage: "upper", sandbox, ...room };
  }
}
