import { spawnSync } from "node:child_process";
import * as fs from "node:fs";

const MARK = "RKT_INSIDE_PRIVATE_HOST";

/**
 * Runs this program again in a mount and a network namespace of its own and ends this process with its
 * status; inside it returns. Addresses, iptables rules and mounts of the pods are then nobody else's, and
 * nothing that goes wrong can stay on the machine. Needs root.
 */
export function enterPrivateHost(): void {
	if (process.env[MARK] === undefined) {
		const command = ["--mount", "--net", "--propagation=private", process.execPath, ...process.execArgv];
		const result = spawnSync("unshare", [...command, ...process.argv.slice(1)], {
			stdio: "inherit",
			// tap ends a file after 30 s; pods take longer, and the runner has a limit of its own.
			env: { TAP_TIMEOUT: "0", ...process.env, [MARK]: "1" },
		});
		if (result.error) throw result.error;
		process.exit(result.status ?? 1);
	}
	delete process.env[MARK];
	system("ip", "link", "set", "lo", "up");
	for (const directory of ["/var/lib/cni", "/run/netns"]) {
		fs.mkdirSync(directory, { recursive: true });
		system("mount", "-t", "tmpfs", "tmpfs", directory);
	}
}

/** Resolves these names to 127.0.0.1 for this mount namespace; call {@link enterPrivateHost} first. */
export function addHostNames(scratchFile: string, names: readonly string[]): void {
	const hosts = fs.readFileSync("/etc/hosts", "utf8");
	fs.writeFileSync(scratchFile, `${hosts.trimEnd()}\n127.0.0.1 ${names.join(" ")}\n`);
	system("mount", "--bind", scratchFile, "/etc/hosts");
}

function system(program: string, ...args: string[]): void {
	const result = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
	if (result.status !== 0) throw new Error(`${program} ${args.join(" ")} failed`);
}
