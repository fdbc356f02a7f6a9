export type {
  AuditList,
  CapturedLayer,
  CheckpointView,
  DiffView,
  KeyView,
  LayerView,
  MergeBody,
  MergeView,
  NewKeyView,
  RecomposedView,
  RestoredView,
  SandboxView,
  TakenView,
  TenantView,
  TimelineView,
  VersionView,
  WebhookView,
} from "../api/contract.ts";
export type { ErrorCode } from "../model/errors.ts";
export type { OutputStream, SignalScope } from "../model/exec.ts";
export type { Bisection, BisectOptions, BisectStep } from "./bisect.ts";
export type { Checkpoints } from "./checkpoints.ts";
export type { Command, CommandEvent, ExitReport, Offsets } from "./command.ts";
export type { CallOptions } from "./connection.ts";
export type { DiffOptions } from "./diff-options.ts";
export type { EventItem, EventQuery, FollowOptions, ReadOptions, SandboxEvent } from "./events.ts";
export type {
  CommandLine,
  CommandOptions,
  ExecOptions,
  ExecSummary,
  FollowCommandOptions,
  ListExecsOptions,
  SpawnOptions,
  TerminalOptions,
} from "./exec-options.ts";
export type { Encoding, ExecResult, Output, OutputListener } from "./exec-result.ts";
export type {
  ChmodOptions,
  ChownOptions,
  ListFilesOptions,
  MkdirOptions,
  MoveOptions,
  RemoveOptions,
  StatOptions,
  SymlinkOptions,
} from "./file-options.ts";
export type { FileChange, SearchOptions, WatchFilesOptions } from "./file-streams.ts";
export type { FileEntry, FileStatus, FoundFile, ListedFile, PathText } from "./file-views.ts";
export type {
  FileContent,
  Files,
  ReadFileOptions,
  TarOptions,
  UploadTarOptions,
  WriteFileOptions,
  WrittenFile,
} from "./files.ts";
export type { ForkOptions, Forks } from "./forks.ts";
export type { KeptOutput, KeptOutputOptions, LostRange, ReadOutputOptions } from "./kept-output.ts";
export type { Keys, NewKey } from "./keys.ts";
export type { ExportLayersOptions, ImportLayersOptions, LayerSignature, SignedLayer } from "./layer-archives.ts";
export type {
  BuildDockerfileOptions,
  BuildLayerOptions,
  BuildProgress,
  CaptureLayerOptions,
  Layers,
  PullLayerOptions,
} from "./layers.ts";
export type { ListOptions, PageOptions, SandboxFilter } from "./list-sandboxes.ts";
export type { AuditQuery, CreateOptions, PlyboxOptions } from "./plybox.ts";
export { Plybox } from "./plybox.ts";
export { PlyboxApiError } from "./plybox-api-error.ts";
export type { ForwardOptions, PortForward } from "./port-forward.ts";
export type {
  DialTarget,
  ListeningPort,
  NewPortToken,
  PortConnection,
  Ports,
  PortToken,
  SignedUrl,
  WaitForPortOptions,
} from "./ports.ts";
export type { MovedLayer, Remote, RemoteOptions, RemoteProgress } from "./remote.ts";
export type { Sandbox } from "./sandbox.ts";
export type { Collection, Storage, StorageUsage } from "./storage.ts";
export type { Tenants } from "./tenants.ts";
export type { Terminal, TerminalSize } from "./terminal.ts";
export type { Processes, Usage, WatchUsageOptions } from "./usage.ts";
export type { NewWebhook, Webhooks } from "./webhooks.ts";
