/** How the guest's init configures its network: one directive a line. */
export const GUEST_NETWORK_FILE = "/rkt/vm/network";
/** What the guest's init makes the id of this boot, so that it is known outside. */
export const GUEST_BOOT_ID = "/rkt/vm/boot-id";
/** Where the guest's agent finds its channel, when that is no device; stage1-kvm/host/vsock.c writes it. */
export const GUEST_CHANNEL = "/rkt/vm/channel";
/** Parameters of the guest's kernel that its init sets: `FILE=VALUE` a line, files below /proc/sys. */
export const GUEST_SYSCTL_FILE = "/rkt/vm/sysctl";
/** Directories on which the host has mounted something, each with a zero byte after it. */
export const GUEST_MOUNTS_FILE = "/rkt/vm/mounts";
/** The exit status of the pod, which the guest writes before it powers off. */
export const GUEST_POD_STATUS = "/rkt/pod-status";
/** Beside a kernel: the programs that all pods execute, which are in the guest's memory when it starts. */
export const PROGRAMS_ARCHIVE = "programs.cpio";
/** Runs the agent; names with an underscore cannot be those of an app. */
export const AGENT_SERVICE = "rkt_agent.service";
