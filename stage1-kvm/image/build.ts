import * as fs from "node:fs";
import * as path from "node:path";
import { OWN_USERS_ANNOTATION } from "../../stage1/entrypoints.ts";
import { kernelAnnotations } from "../../stage1/guest-kernel.ts";
import type { ImageRecipe } from "../../stage1/image/build-image.ts";
import { END_SERVICE } from "../../stage1/units/static-units.ts";
import { renderUnit, type UnitSetting } from "../../stage1/units/unit-text.ts";
import { AGENT_SERVICE, GUEST_CHANNEL, PROGRAMS_ARCHIVE } from "../guest-paths.ts";
import { addKernel, describeKernel, type KernelKind } from "./kernel.ts";
import { compilePrograms } from "./programs.ts";
import { writeProgramsArchive } from "./programs-archive.ts";

const UNITS = "usr/lib/systemd/system";
/** The program that systemd becomes to end a machine; in a container it just ends. */
const SHUTDOWN = "usr/lib/systemd/systemd-shutdown";

const JOURNALD_CONF = "etc/systemd/journald.conf.d/guest.conf";
/** journald writes through mappings, which the host sees when they are synchronized: by default every five minutes. */
const JOURNALD_TEXT = "[Journal]\nSyncIntervalSec=1s\n";
/**
 * journald allocates 8 MiB at once, and where the file system cannot do that, glibc writes into each of 2048 blocks. Files
 * are as many as fit into what the journal may take.
 */
const SMALL_FILES = "SystemMaxFileSize=4M\nSystemMaxFiles=1024\n";

/** A hypervisor's image: how the agent finds its end of the channel, and the kernel that goes in. */
interface Flavor {
	readonly flavor: string;
	readonly channel: string;
	readonly kernel: KernelKind;
	/** The machine cannot be switched off, and ends when it would start again. */
	readonly endsByReboot?: boolean;
	/** Its file system for the pod's root has no fallocate(2). */
	readonly allocatesByWriting?: boolean;
	/** The programs of all pods come with the kernel. */
	readonly startsInMemory?: boolean;
}

const FLAVORS: readonly Flavor[] = [
	{ flavor: "kvm", channel: "virtio:rkt.control", kernel: "vmlinux", startsInMemory: true },
	{ flavor: "kvm-uml", channel: "/dev/ttyS0", kernel: "linux", allocatesByWriting: true },
	{
		flavor: "kvm-lkvm",
		channel: `vsock:${GUEST_CHANNEL}`,
		kernel: "bzImage",
		endsByReboot: true,
		allocatesByWriting: true,
	},
];

/** The images of the kvm stage1, one for each hypervisor: the root that all pods boot, and what a kernel of its own needs. */
export const recipes: readonly ImageRecipe[] = FLAVORS.map((one) => ({
	flavor: one.flavor,
	bundle: "stage1-kvm.cjs",
	addPrograms: (root, places) => {
		const directory = ownDirectory(root);
		fs.mkdirSync(directory);
		compilePrograms(directory, places.sources);
		fs.renameSync(path.join(directory, "power-off"), path.join(root, SHUTDOWN));
		addAgentService(root, one.channel);
		if (one.endsByReboot) addReboot(root);
		fs.mkdirSync(path.dirname(path.join(root, JOURNALD_CONF)), { recursive: true });
		fs.writeFileSync(
			path.join(root, JOURNALD_CONF),
			JOURNALD_TEXT + (one.allocatesByWriting ? SMALL_FILES : ""),
		);
		addKernel(directory, one.kernel, places);
		if (one.startsInMemory) writeProgramsArchive(root, path.join(directory, PROGRAMS_ARCHIVE));
	},
	annotations: (root, places) => {
		const kernel = describeKernel(ownDirectory(root), one.kernel, places);
		const own = [{ name: OWN_USERS_ANNOTATION, value: "true" }];
		return kernel === undefined ? own : [...own, ...kernelAnnotations(kernel)];
	},
}));

const ownDirectory = (root: string): string => path.join(root, "rkt/vm");

function addReboot(root: string): void {
	const directory = path.join(root, UNITS, `${END_SERVICE}.d`);
	fs.mkdirSync(directory);
	const actions = ["SuccessAction", "FailureAction"].map((name): UnitSetting => [name, "reboot-force"]);
	fs.writeFileSync(path.join(directory, "reboot.conf"), renderUnit([["Unit", actions]]));
}

function addAgentService(root: string, channel: string): void {
	const text = renderUnit([
		// Else systemd would give up after five starts, and the pod could not be entered or stopped any more.
		[
			"Unit",
			[
				["DefaultDependencies", "no"],
				// Not before: the apps wait for journald, and nobody for the agent.
				["After", "systemd-journald.service"],
				["StartLimitIntervalSec", "0"],
			],
		],
		[
			"Service",
			[
				["ExecStart", `/rkt/vm/agent ${channel}`],
				["StandardInput", "null"],
				["StandardOutput", "null"],
				["StandardError", "journal"],
				["Restart", "always"],
				["RestartSec", "0"],
			],
		],
	]);
	fs.writeFileSync(path.join(root, UNITS, AGENT_SERVICE), text);
	fs.symlinkSync(`../${AGENT_SERVICE}`, path.join(root, UNITS, "default.target.wants", AGENT_SERVICE));
}
