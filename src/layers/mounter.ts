import type { ImageFormat } from "../model/layer.ts";

export interface ImageMount {
  /** Absolute path of the image. */
  readonly image: string;
  readonly format: ImageFormat;
  /** Absolute path of the directory to mount it on. */
  readonly target: string;
}

/** Mounts images for the layer store; the launcher's client is one. */
export interface Mounter {
  /**
   * Whether mounts live in the mounter's own namespace and end with it (`plylaunch --private`). Their targets are
   * then only names: the store makes no directories for them and finds none of them in its own mount table.
   */
  readonly private?: boolean;
  /** Mounts read-only, nosuid, nodev. */
  mountImage(mount: ImageMount): Promise<void>;
  /** What is not mounted counts as done. */
  unmount(target: string): Promise<void>;
}
