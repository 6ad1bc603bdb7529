import * as fs from "node:fs";
import * as path from "node:path";
import { replaceFile } from "../lib/files.ts";
import { mountsBelow } from "../lib/mountinfo.ts";
import { joinPodCgroups } from "../stage1/cgroups/pod-cgroup.ts";
import type { Stage1Context } from "../stage1/entrypoints.ts";
import { choosePlacement } from "../stage1/machined.ts";
import * as podPaths from "../stage1/pod-paths.ts";
import { keepLock } from "../stage1/run/keep-lock.ts";
import { ownDirectory } from "../stage1/run/own-files.ts";
import { type PreparedPod, preparePod } from "../stage1/run/prepare-pod.ts";
import { undoStart } from "../stage1/run/release-pod.ts";
import { makeRunContext, type RunContext } from "../stage1/run/run-context.ts";
import { podSysctls, sysctlText } from "../stage1/security/sysctls.ts";
import { handOnTrace } from "../stage1/trace.ts";
import { machineDisks } from "./disks.ts";
import { giveKvm } from "./give-kvm.ts";
import {
	GUEST_CHANNEL,
	GUEST_MOUNTS_FILE,
	GUEST_NETWORK_FILE,
	GUEST_POD_STATUS,
	GUEST_SYSCTL_FILE,
} from "./guest-paths.ts";
import type { Disk, Machine, MachineCommand } from "./hypervisors/hypervisor.ts";
import { machineSize, readMachineSettings } from "./hypervisors/machine-size.ts";
import { findHypervisor } from "./hypervisors/table.ts";
import { joinStreams } from "./interactive.ts";
import { watchMemory } from "./memory-watch.ts";
import { setUpGuestNetwork } from "./network/guest-network.ts";
import { refuseSharedKernel } from "./refuse-shared-kernel.ts";
import { prepareRegistration } from "./registration.ts";

/** Of the caller's environment, what the monitor itself needs; programs get only what their hypervisor asks for. */
const PASSED = ["NOTIFY_SOCKET", "PATH", "TERM"];

/** An emulated guest on a busy machine takes half a minute; one that takes longer than this never comes. */
const BOOT_SECONDS = 300;

/**
 * The entry point `run`: makes a prepared pod ready and becomes the monitor of its virtual machine. Comes back only by
 * throwing; what it had made outside of the pod directory is removed then.
 */
export async function run(argv: string[], stage1: Stage1Context): Promise<number> {
	const flavor = fs.readlinkSync(path.join(path.dirname(ownDirectory()), "flavor"));
	const context = await makeRunContext(argv, stage1, { flavor, ownKernel: true });
	const { options, pod } = context;
	refuseSharedKernel(context);
	process.umask(0o022);
	const { syscall, environment } = context;
	const programs = path.join(ownDirectory(), "vm");
	const commandOf = findHypervisor(flavor).find({ programs, environment, syscall });
	const placement = choosePlacement({ uuid: options.uuid, owner: 0 });
	const own = { syscall, pod: pod.directory, uuid: options.uuid, owner: 0 };
	const cgroups = placement.keepUnit ? joinPodCgroups(own) : undefined;
	try {
		const lockFd = keepLock(context);
		const prepared = preparePod(context);
		const disks = machineDisks(context, prepared);
		joinStreams(context);
		watchMemory(pod.directory, prepared);
		await cgroups?.joined;
		const registration = placement.register
			? prepareRegistration(context, { scope: !placement.keepUnit })
			: [];
		return become(context, commandOf, { prepared, disks, lockFd, registration });
	} catch (error) {
		await undoStart(context, cgroups?.joined);
		throw error;
	}
}

function become(
	context: RunContext,
	commandOf: (machine: Machine) => MachineCommand,
	parts: {
		prepared: PreparedPod;
		disks: readonly Disk[];
		lockFd: number | undefined;
		registration: readonly string[];
	},
): never {
	const { pod, options, environment, syscall, log } = context;
	const { prepared, disks, lockFd, registration } = parts;
	const guest = setUpGuestNetwork(prepared.hostname);
	fs.writeFileSync(podPaths.inStage1(pod.directory, GUEST_NETWORK_FILE), guest.text);
	const owners = prepared.apps.map(({ spec, sysctls }) => ({ app: spec.app, sysctls }));
	const sysctls = sysctlText(podSysctls(owners, { network: false, ipc: false }));
	fs.writeFileSync(podPaths.inStage1(pod.directory, GUEST_SYSCTL_FILE), sysctls);
	const root = podPaths.stage1Rootfs(pod.directory);
	const mounts = mountsBelow(root).map(({ target }) => `${target.slice(root.length)}/\0`);
	fs.writeFileSync(podPaths.inStage1(pod.directory, GUEST_MOUNTS_FILE), mounts.join(""));
	const trace = handOnTrace(pod.directory);
	const machine: Machine = {
		uuid: options.uuid,
		root,
		programs: path.join(ownDirectory(), "vm"),
		...machineSize(
			prepared.apps.map(({ unit }) => unit.limits),
			readMachineSettings(environment),
		),
		nics: guest.nics,
		disks,
		debug: options.debug === true,
		// The kernel gives its init what it does not know itself, and systemd its services what it is told to.
		parameters: trace === undefined ? [] : [trace, `systemd.setenv=${trace}`],
		environment,
	};
	const command = commandOf(machine);
	if (command.rights.user !== undefined)
		giveKvm(context, { deviceNodes: prepared.deviceNodes, user: command.rights.user });
	const monitor = [
		"monitor",
		`--status=${podPaths.inStage1(pod.directory, GUEST_POD_STATUS)}`,
		...(lockFd === undefined ? [] : [`--lock-fd=${lockFd}`]),
		...(options.debug ? ["--debug"] : []),
		...(trace === undefined ? [] : [`--trace=${podPaths.tracePath(pod.directory)}`]),
		...(options.interactive ? [`--attach=${path.join(ownDirectory(), "vm/client")}`] : []),
		...registration,
		...(command.cid === undefined
			? []
			: [`--vsock=${command.cid}`, `--channel=${podPaths.inStage1(pod.directory, GUEST_CHANNEL)}`]),
		...(command.rights.user === undefined ? [] : [`--user=${command.rights.user}`]),
		"--jail",
		`--capabilities=${command.rights.capabilities.toString(16)}`,
		...command.passed.map((what) => `--pass=${what}`),
		...(command.qmp ? ["--qmp"] : []),
		...(command.init ? ["--init"] : []),
		...(command.mconsole === undefined ? [] : [`--mconsole=${command.mconsole}`]),
		`--boot=${BOOT_SECONDS}`,
		`--helper=${command.helper.length}`,
		"--",
		...command.helper,
		...command.hypervisor,
	];
	log.debug(`exec ${monitor.join(" ")}`);
	replaceFile(podPaths.pidPath(pod.directory), `${process.pid}\n`, 0o644);
	const kept = lockFd === undefined ? [] : [lockFd];
	const program = path.join(ownDirectory(), "vm/monitor");
	const passed = PASSED.flatMap((name) =>
		environment[name] === undefined ? [] : [[name, environment[name]]],
	);
	return syscall.execve(program, monitor, { ...Object.fromEntries(passed), ...command.environment }, kept);
}
