import * as fs from "node:fs";
import * as path from "node:path";
import type { BuildPlaces, ImageRecipe } from "../../stage1/image/build-image.ts";
import { compileStatic } from "../../stage1/rootfs/root-file-system.ts";
import { renderUnit } from "../../stage1/units/unit-text.ts";
import { AGENT_SERVICE } from "../guest-paths.ts";

const UNITS = "usr/lib/systemd/system";

const JOURNALD_CONF = "etc/systemd/journald.conf.d/guest.conf";
/** journald writes through mappings, which the host sees when they are synchronized: by default every five minutes. */
const JOURNALD_TEXT = "[Journal]\nSyncIntervalSec=1s\n";

/** The programs of the control channel and of the guest, by their place in rkt/vm: sources below stage1-kvm. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
	monitor: [
		...["monitor", "sessions", "attach", "machined", "machine-root", "dbus"].map((name) => `host/${name}.c`),
		"protocol/notify.c",
		"protocol/frames.c",
	],
	client: ["host/client.c", "protocol/frames.c"],
	agent: [
		"guest/agent.c",
		"guest/commands.c",
		"guest/streams.c",
		"guest/find-app.c",
		"protocol/notify.c",
		"protocol/frames.c",
	],
	init: ["guest/init.c", "guest/network.c"],
};

/** A hypervisor's image: how the agent finds its end of the channel, and whether a kernel for QEMU goes in. */
interface Flavor {
	readonly flavor: string;
	readonly channel: string;
	readonly kernel: boolean;
}

const FLAVORS: readonly Flavor[] = [
	{ flavor: "kvm", channel: "virtio:rkt.control", kernel: true },
	{ flavor: "kvm-uml", channel: "/dev/ttyS0", kernel: false },
];

/** The images of the kvm stage1, one for each hypervisor: the root that all pods boot, and what a kernel of its own needs. */
export const recipes: readonly ImageRecipe[] = FLAVORS.map((one) => ({
	flavor: one.flavor,
	bundle: "stage1-kvm.cjs",
	addPrograms: (root, places) => {
		const directory = path.join(root, "rkt/vm");
		fs.mkdirSync(directory);
		compilePrograms(directory, places);
		addAgentService(root, one.channel);
		fs.mkdirSync(path.dirname(path.join(root, JOURNALD_CONF)), { recursive: true });
		fs.writeFileSync(path.join(root, JOURNALD_CONF), JOURNALD_TEXT);
		addKernel(directory, one, places);
	},
}));

/** The distribution's, or what scripts/minimal-kernel.sh has built instead; User-Mode Linux may be the host's own. */
function addKernel(directory: string, { kernel }: Flavor, { outDir }: BuildPlaces): void {
	if (kernel) fs.cpSync(path.join(outDir, "guest-kernel"), directory, { recursive: true });
	const name = kernel ? "vmlinux" : "linux";
	const minimal = path.join(outDir, "minimal-kernel", name);
	if (!fs.existsSync(minimal)) return;
	fs.copyFileSync(minimal, path.join(directory, name));
	// Everything is built in.
	fs.rmSync(path.join(directory, "modules"), { recursive: true, force: true });
}

function compilePrograms(directory: string, { sources }: BuildPlaces): void {
	const protocol = path.join(sources, "stage1-kvm/protocol");
	for (const [name, files] of Object.entries(PROGRAMS)) {
		const paths = files.map((file) => path.join(sources, "stage1-kvm", file));
		compileStatic(paths, path.join(directory, name), [`-I${protocol}`]);
	}
}

function addAgentService(root: string, channel: string): void {
	const text = renderUnit([
		// Else systemd would give up after five starts, and the pod could not be entered or stopped any more.
		[
			"Unit",
			[
				["DefaultDependencies", "no"],
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
