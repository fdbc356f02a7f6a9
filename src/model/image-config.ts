/** What the configuration of an OCI image says of who runs it; what it does not say is empty. */
export interface ImageConfig {
  /** The environment of every command. */
  readonly env: Readonly<Record<string, string>>;
  /** Where commands start; null for the user's home. */
  readonly workingDir: string | null;
  /** `name`, `uid`, `name:group` or `uid:gid`; null for root. */
  readonly user: string | null;
  /** The program with its first arguments; `cmd` follows it. */
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Such as `8080/tcp`. */
  readonly exposedPorts: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** The program that an image is made to run, with its arguments; empty where it has none. */
export const commandOf = ({ entrypoint, cmd }: ImageConfig): readonly string[] => [...entrypoint, ...cmd];
