import * as fs from "node:fs";
import * as path from "node:path";
import { fail } from "../../lib/errors.ts";
import { CLONE_NEWIPC, type Syscall } from "../../lib/syscall/syscall.ts";

/** A parameter of the kernel as a path below /proc/sys, with its value. */
type Sysctl = readonly [file: string, value: string];

/** What the apps of a pod set in the namespaces that they share. */
export interface PodSysctls {
	readonly network: readonly Sysctl[];
	/** System V IPC and POSIX message queues. */
	readonly ipc: readonly Sysctl[];
	readonly domainName: string | undefined;
}

/** Those of the IPC namespace, proc_sys_kernel(5) and mq_overview(7). */
const IPC_FILES =
	/^(?:kernel\/(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\/mqueue\/[a-z_]+)$/;
const NETWORK_FILES = /^net(?:\/[A-Za-z0-9_:.-]+)+$/;
const DOMAIN_NAME = "kernel/domainname";
/** __NEW_UTS_LEN. */
const DOMAIN_NAME_LIMIT = 64;

export interface SysctlOwner {
	readonly app: string;
	readonly sysctls: Readonly<Record<string, string>> | undefined;
}

/**
 * Collects the sysctl isolators of a pod's apps. `shared` names the namespaces that are the host's. Errors:
 * `sysctl-failed` for a value that is too long, `sysctl-refused` for what is the host's or no parameter of a namespace, `sysctl-conflict` when two apps differ.
 */
export function podSysctls(
	owners: readonly SysctlOwner[],
	shared: { readonly network: boolean; readonly ipc: boolean },
): PodSysctls {
	const values = new Map<string, { app: string; value: string }>();
	for (const { app, sysctls = {} } of owners) {
		for (const [name, value] of Object.entries(sysctls)) {
			const file = sysctlFile(name);
			refuseShared(app, name, file, shared);
			const known = values.get(file);
			if (known !== undefined && known.value !== value) {
				fail(
					"sysctl-conflict",
					`apps ${known.app} and ${app} want different values of ${name}, which they share`,
					{
						hint: "give them the same value, or use two pods",
					},
				);
			}
			values.set(file, { app, value });
		}
	}
	const domainName = values.get(DOMAIN_NAME)?.value;
	if (domainName !== undefined && Buffer.byteLength(domainName) > DOMAIN_NAME_LIMIT) {
		fail("sysctl-failed", `kernel.domainname takes at most ${DOMAIN_NAME_LIMIT} bytes`);
	}
	const all = [...values].map(([file, { value }]): Sysctl => [file, value]);
	return {
		network: all.filter(([file]) => NETWORK_FILES.test(file)),
		ipc: all.filter(([file]) => IPC_FILES.test(file)),
		domainName,
	};
}

/** As sysctl(8) reads names: whichever of `.` and `/` comes first separates, the other is part of a name. */
function sysctlFile(name: string): string {
	const first = /[./]/.exec(name)?.[0];
	if (first === "/") return name;
	return name.replace(/[./]/g, (character) => (character === "." ? "/" : "."));
}

function refuseShared(
	app: string,
	name: string,
	file: string,
	shared: { readonly network: boolean; readonly ipc: boolean },
): void {
	const refuse = (why: string, hint: string): never =>
		fail("sysctl-refused", `app ${app}: the isolator os/unix/sysctl may not set ${name}: ${why}`, { hint });
	if (NETWORK_FILES.test(file) && !/(?:^|\/)\.\.?(?:\/|$)/.test(file)) {
		if (shared.network) refuse("the network is the host's", "leave --net=host out, or set it on the host");
	} else if (IPC_FILES.test(file)) {
		if (shared.ipc)
			refuse("the IPC namespace is the host's", "leave --ipc=parent out, or set it on the host");
	} else if (file !== DOMAIN_NAME) {
		refuse(
			"it belongs to the whole kernel",
			"net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* and kernel.domainname are a pod's own",
		);
	}
}

/**
 * Sets what is the host's kernel's, from this thread: it must be in the pod's network namespace, and gets an IPC namespace of
 * its own when the pod needs one. Gives true then: the pod has to stay in it. Errors: `sysctl-failed`.
 */
export function setSysctls(syscall: Syscall, sysctls: PodSysctls): boolean {
	for (const sysctl of sysctls.network) write(sysctl);
	if (sysctls.ipc.length === 0) return false;
	syscall.unshare(CLONE_NEWIPC);
	for (const sysctl of sysctls.ipc) write(sysctl);
	return true;
}

function write([file, value]: Sysctl): void {
	try {
		fs.writeFileSync(path.join("/proc/sys", file), value, { flag: "r+" });
	} catch (error) {
		fail(
			"sysctl-failed",
			`the kernel does not take ${JSON.stringify(value)} for ${file.replaceAll("/", ".")}`,
			{
				hint: "see that the name exists in this kernel, and what values it takes",
				cause: error,
			},
		);
	}
}

/** All of them for a kernel of the pod's own, `FILE=VALUE` a line: a value holds no line break. */
export function sysctlText({ network, ipc, domainName }: PodSysctls): string {
	const own = domainName === undefined ? [] : [[DOMAIN_NAME, domainName] as const];
	return [...network, ...ipc, ...own].map(([file, value]) => `${file}=${value}\n`).join("");
}
