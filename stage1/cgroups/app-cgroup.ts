/** What else may stand in front of the first dot in a file of a cgroup; the names of systemd's controllers. */
const RESERVED = /^(cgroup|cpu|cpuacct|cpuset|io|blkio|memory|devices|pids)$/;

/**
 * Where the systemd of a pod puts an app, relative to the cgroup of the pod. It marks names that the kernel could use in a
 * cgroup itself, cg_escape() in cgroup-util.c.
 */
export function appCgroup(app: string): string {
	return `system.slice/${RESERVED.test(app) ? "_" : ""}${app}.service`;
}
