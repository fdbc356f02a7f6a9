import { readText } from "../host-checks/read-text.ts";

/** Why a user without privileges cannot make a user namespace here, and the command that mends it. */
export interface Restriction {
  readonly cause: string;
  readonly remedy: string;
}

/** AppArmor lets the namespace be made and then takes every privilege in it away; a profile for one program mends that. */
const APPARMOR_REMEDY =
  "give plylaunch an AppArmor profile with the rule userns (docs/rootless.md), " +
  "or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";

/** What a distribution has set against unprivileged user namespaces, read from a tree such as /proc. */
export function restrictionsOf(proc: string): readonly Restriction[] {
  const value = (path: string): string | undefined => readText(`${proc}/sys/${path}`)?.trim();
  const found: Restriction[] = [];
  if (value("kernel/unprivileged_userns_clone") === "0") {
    const cause = "kernel.unprivileged_userns_clone is 0: only root makes user namespaces";
    found.push({ cause, remedy: "sysctl -w kernel.unprivileged_userns_clone=1" });
  }
  if (value("user/max_user_namespaces") === "0") {
    const cause = "user.max_user_namespaces is 0: nobody makes user namespaces";
    found.push({ cause, remedy: "sysctl -w user.max_user_namespaces=65536" });
  }
  if (value("kernel/apparmor_restrict_unprivileged_userns") === "1") {
    const cause = "kernel.apparmor_restrict_unprivileged_userns is 1: AppArmor takes away what a user namespace gives";
    found.push({ cause, remedy: APPARMOR_REMEDY });
  }
  return found;
}
