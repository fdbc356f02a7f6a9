/** The wire shapes of API v1, inferred from the schemas that check and document them. */
import type * as z from "zod";
import type {
  auditList,
  createKeyBody,
  keyList,
  keyView,
  newKeyView,
  setTenantBody,
  tenantList,
  tenantView,
} from "./schemas/access.ts";
import type {
  checkpointBody,
  checkpointList,
  checkpointView,
  diffView,
  forkBody,
  forkPointBody,
  forkView,
  mergeBody,
  mergeView,
  packBody,
  restoreBody,
  restoredView,
  takenView,
  timelineView,
  undoBody,
} from "./schemas/checkpoint.ts";
import type { activateBody, recomposedView } from "./schemas/composition.ts";
import type { eventGap, eventList, eventView } from "./schemas/event.ts";
import type {
  endEvent,
  execBody,
  execList,
  execResult,
  execStarted,
  execView,
  exitEvent,
  lostEvent,
  outputEvent,
  reachedEvent,
  signalBody,
  terminalSize,
} from "./schemas/exec.ts";
import type {
  changed,
  chmodBody,
  chownBody,
  created,
  fileChange,
  fileEntry,
  fileList,
  fileStatus,
  foundFile,
  foundLine,
  listedFile,
  mkdirBody,
  moveBody,
  removed,
  symlinkBody,
  unpacked,
  written,
} from "./schemas/file.ts";
import type { buildProgress, capturedLayer, layerList, layerView } from "./schemas/layer.ts";
import type { extendBody, listQuery, updateBody } from "./schemas/lifecycle.ts";
import type {
  createPortTokenBody,
  newPortTokenView,
  portList,
  portTokenList,
  portTokenView,
  signedUrlView,
  signUrlBody,
} from "./schemas/port.ts";
import type { movedLayers, pullBody, pushBody, remoteProgress } from "./schemas/remote.ts";
import type { createSandboxBody, sandboxList, sandboxView } from "./schemas/sandbox.ts";
import type { collectBody, collection, storageUsage } from "./schemas/storage.ts";
import type { errorBody, health, version } from "./schemas/system.ts";
import type { layerSignature, signedLayer } from "./schemas/transfer.ts";
import type { processList, usageList, usageView } from "./schemas/usage.ts";
import type {
  createWebhookBody,
  newWebhookView,
  webhookList,
  webhookTestView,
  webhookView,
} from "./schemas/webhook.ts";

export type CreateSandboxBody = z.infer<typeof createSandboxBody>;
export type SandboxView = z.infer<typeof sandboxView>;
export type ListQuery = z.infer<typeof listQuery>;
export type UpdateBody = z.infer<typeof updateBody>;
export type ExtendBody = z.infer<typeof extendBody>;
export type SandboxList = z.infer<typeof sandboxList>;
export type ExecBody = z.infer<typeof execBody>;
export type ExecResultView = z.infer<typeof execResult>;
export type ExecStartedView = z.infer<typeof execStarted>;
export type ExecView = z.infer<typeof execView>;
export type ExecListView = z.infer<typeof execList>;
export type TerminalSizeBody = z.infer<typeof terminalSize>;
export type SignalBody = z.infer<typeof signalBody>;
export type FileEntryView = z.infer<typeof fileEntry>;
export type FileStatusView = z.infer<typeof fileStatus>;
export type ListedFileView = z.infer<typeof listedFile>;
export type FileListView = z.infer<typeof fileList>;
export type FoundFileView = z.infer<typeof foundFile>;
export type FoundLine = z.infer<typeof foundLine>;
export type FileChangeView = z.infer<typeof fileChange>;
export type MkdirBody = z.infer<typeof mkdirBody>;
export type MoveBody = z.infer<typeof moveBody>;
export type ChmodBody = z.infer<typeof chmodBody>;
export type ChownBody = z.infer<typeof chownBody>;
export type SymlinkBody = z.infer<typeof symlinkBody>;
export type WrittenView = z.infer<typeof written>;
export type CreatedView = z.infer<typeof created>;
export type RemovedView = z.infer<typeof removed>;
export type ChangedView = z.infer<typeof changed>;
export type UnpackedView = z.infer<typeof unpacked>;
export type BuildProgressView = z.infer<typeof buildProgress>;
export type CheckpointBody = z.infer<typeof checkpointBody>;
export type CheckpointView = z.infer<typeof checkpointView>;
export type CheckpointList = z.infer<typeof checkpointList>;
export type TakenView = z.infer<typeof takenView>;
export type TimelineView = z.infer<typeof timelineView>;
export type DiffView = z.infer<typeof diffView>;
export type ForkBody = z.infer<typeof forkBody>;
export type PackBody = z.infer<typeof packBody>;
export type ForkPointBody = z.infer<typeof forkPointBody>;
export type ForkView = z.infer<typeof forkView>;
export type MergeBody = z.infer<typeof mergeBody>;
export type MergeView = z.infer<typeof mergeView>;
export type RestoreBody = z.infer<typeof restoreBody>;
export type UndoBody = z.infer<typeof undoBody>;
export type RestoredView = z.infer<typeof restoredView>;
export type ActivateBody = z.infer<typeof activateBody>;
export type RecomposedView = z.infer<typeof recomposedView>;
export type CapturedLayer = z.infer<typeof capturedLayer>;
export type LayerView = z.infer<typeof layerView>;
export type LayerListView = z.infer<typeof layerList>;
export type PushBody = z.infer<typeof pushBody>;
export type PullBody = z.infer<typeof pullBody>;
export type MovedLayersView = z.infer<typeof movedLayers>;
export type RemoteProgressView = z.infer<typeof remoteProgress>;
export type LayerSignatureView = z.infer<typeof layerSignature>;
export type SignedLayerView = z.infer<typeof signedLayer>;
export type StorageUsageView = z.infer<typeof storageUsage>;
export type CollectionView = z.infer<typeof collection>;
export type CollectBody = z.input<typeof collectBody>;
export type CreateKeyBody = z.infer<typeof createKeyBody>;
export type KeyView = z.infer<typeof keyView>;
export type NewKeyView = z.infer<typeof newKeyView>;
export type KeyList = z.infer<typeof keyList>;
export type SetTenantBody = z.infer<typeof setTenantBody>;
export type TenantView = z.infer<typeof tenantView>;
export type TenantList = z.infer<typeof tenantList>;
export type AuditList = z.infer<typeof auditList>;
export type UsageView = z.infer<typeof usageView>;
export type UsageList = z.infer<typeof usageList>;
export type PortList = z.infer<typeof portList>;
export type CreatePortTokenBody = z.infer<typeof createPortTokenBody>;
export type PortTokenView = z.infer<typeof portTokenView>;
export type NewPortTokenView = z.infer<typeof newPortTokenView>;
export type PortTokenList = z.infer<typeof portTokenList>;
export type SignUrlBody = z.infer<typeof signUrlBody>;
export type SignedUrlView = z.infer<typeof signedUrlView>;
export type ProcessList = z.infer<typeof processList>;
export type CreateWebhookBody = z.infer<typeof createWebhookBody>;
export type WebhookView = z.infer<typeof webhookView>;
export type NewWebhookView = z.infer<typeof newWebhookView>;
export type WebhookList = z.infer<typeof webhookList>;
export type WebhookTestView = z.infer<typeof webhookTestView>;
export type EventView = z.infer<typeof eventView>;
export type EventList = z.infer<typeof eventList>;
export type EventGapView = z.infer<typeof eventGap>;
export type HealthView = z.infer<typeof health>;
export type VersionView = z.infer<typeof version>;
export type ErrorBody = z.infer<typeof errorBody>;

/** Server-sent events of a command: the event's name and its JSON. `exit`, `error` or `reached` is last. */
export interface ExecEventViews {
  readonly started: ExecStartedView;
  readonly output: z.infer<typeof outputEvent>;
  readonly end: z.infer<typeof endEvent>;
  readonly lost: z.infer<typeof lostEvent>;
  readonly reached: z.infer<typeof reachedEvent>;
  readonly exit: z.infer<typeof exitEvent>;
  readonly error: ErrorBody["error"];
}
