import * as path from "node:path";

/*
 * Every path inside a pod directory (pod.md section 3 of the reference). `pod` is the absolute path of the
 * directory; app and volume names are ACNames, which hold no slash.
 */

// Written by stage0.

/** The pod manifest. */
export const podManifestPath = (pod: string): string => path.join(pod, "pod");
/** Locked while the pod manifest changes. */
export const podManifestLockPath = (pod: string): string => path.join(pod, "pod.lck");
/** Empty; its modification time is when the pod was made. */
export const podCreatedPath = (pod: string): string => path.join(pod, "pod-created");
/** Empty marker: the pod was prepared for overlayfs. */
export const overlayPreparedPath = (pod: string): string => path.join(pod, "overlay-prepared");
/** `SHIFT:COUNT` of the pod's user namespace. */
export const privateUsersPath = (pod: string): string => path.join(pod, "private-users-prepared");
/** Tree store id of the stage1 image. */
export const stage1TreeStoreIdPath = (pod: string): string => path.join(pod, "stage1TreeStoreID");
/** Image manifest of the stage1 image. */
export const stage1ManifestPath = (pod: string): string => path.join(pod, "stage1/manifest");
/** Root of stage1: an overlay mount or a copy. Nothing below it may be trusted once the pod has run. */
export const stage1Rootfs = (pod: string): string => path.join(pod, "stage1/rootfs");
export const appInfoDirectory = (pod: string, app: string): string => path.join(pod, "appsinfo", app);
/** The image manifest of an app; only stage0 writes here, so this copy can be trusted. */
export const appImageManifestPath = (pod: string, app: string): string =>
	path.join(pod, "appsinfo", app, "manifest");
/** Tree store id of the app's image; with overlay only. */
export const appTreeStoreIdPath = (pod: string, app: string): string =>
	path.join(pod, "appsinfo", app, "treeStoreID");
export const overlayDirectory = (pod: string, treeId: string): string => path.join(pod, "overlay", treeId);
/** Upper directory of an overlay: of stage1 without `app`, else of that app. */
export const overlayUpper = (pod: string, treeId: string, app = ""): string =>
	path.join(pod, "overlay", treeId, "upper", app);
export const overlayWork = (pod: string, treeId: string, app = ""): string =>
	path.join(pod, "overlay", treeId, "work", app);
/** Security features that the pod was started without, one a line; only when there is one. */
export const insecureOptionsPath = (pod: string): string => path.join(pod, "insecure-options");
/** Marker: the pod is registered with the metadata service. */
export const metadataRegisteredPath = (pod: string): string => path.join(pod, "mds-registered");

/** Ends of phases, one a line; only of a pod that is traced. stage1 and its supervisor add to it. */
export const tracePath = (pod: string): string => path.join(pod, "trace");

// Written by stage1.

/** Empty volumes, one directory each. */
export const sharedVolumePath = (pod: string, volume: string): string =>
	path.join(pod, "sharedVolumes", volume);
export const netInfoPath = (pod: string): string => path.join(pod, "net-info.json");
/** Copies of the network configurations in use. */
export const netDirectory = (pod: string): string => path.join(pod, "net");
/** Holds the path of the pod's network namespace. */
export const netnsPath = (pod: string): string => path.join(pod, "netns");
/** Process id of what runs the pod, with a newline. A backend writes this one or {@link ppidPath}. */
export const pidPath = (pod: string): string => path.join(pod, "pid");
/** Process id of the parent of the pod's PID 1, with a newline. */
export const ppidPath = (pod: string): string => path.join(pod, "ppid");
/** Cgroup of the pod, relative to the root of each hierarchy. */
export const subcgroupPath = (pod: string): string => path.join(pod, "subcgroup");
/** Symlink to the name of the flavor. */
export const flavorPath = (pod: string): string => path.join(pod, "flavor");
/** What `run` was told, as JSON. */
export const runtimeConfigPath = (pod: string): string => path.join(pod, "runtime-config");

// Paths of the pod's own root, as stage1 sees them; below the stage1 root on the host.

/** Root file system of an app inside the pod. */
export const guestAppRootfs = (app: string): string => `/opt/stage2/${app}/rootfs`;
export const guestAppManifest = (app: string): string => `/opt/stage2/${app}/manifest`;
/** Exit status of an app, decimal. */
export const guestStatusPath = (app: string): string => `/rkt/status/${app}`;
/** Why an app ended, when it was not its own doing: `oom-kill`. */
export const guestReasonPath = (app: string): string => `/rkt/reason/${app}`;
/** Environment of an app, one `K=V` a line. */
export const guestEnvPath = (app: string): string => `/rkt/env/${app}`;
/** Symlink whose target is `ready` once every app was started. */
export const GUEST_SUPERVISOR_STATUS = "/rkt/supervisor-status";
/** The same from the pod itself. */
export const GUEST_TRACE = "/rkt/trace";
export const GUEST_RESOLV_CONF = "/etc/rkt-resolv.conf";
export const GUEST_HOSTS = "/etc/rkt-hosts";
/** For docker images, when nothing else decides. */
export const GUEST_RESOLV_FALLBACK = "/etc/resolv-fallback";
export const GUEST_HOSTS_FALLBACK = "/etc/hosts-fallback";
export const GUEST_HOSTNAME = "/etc/hostname";
export const GUEST_MACHINE_ID = "/etc/machine-id";

/** A path of the pod's own root as the host sees it while the root is mounted. */
export const inStage1 = (pod: string, guestPath: string): string => path.join(stage1Rootfs(pod), guestPath);
export const appRootfs = (pod: string, app: string): string => inStage1(pod, guestAppRootfs(app));

/** Name of the machine in machined, nspawn and the journal. */
export const machineName = (uuid: string): string => `rkt-${uuid}`;
/** The machine id of a pod: 32 hex digits. */
export const machineId = (uuid: string): string => uuid.replaceAll("-", "");
