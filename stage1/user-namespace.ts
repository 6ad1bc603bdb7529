import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { RktError } from "../lib/errors.ts";

/**
 * A descriptor of a user namespace in which the ids from 0 on are those of the range. The kernel wants a
 * living process to make one: a child stands in it until the descriptor is open.
 * Errors: `user-namespace-failed`.
 */
export async function openUserNamespace(range: {
	readonly shift: number;
	readonly count: number;
}): Promise<number> {
	const { spawn } = await import("node:child_process");
	const child = spawn("unshare", ["--user", "sh", "-c", "echo; read line"], {
		stdio: ["pipe", "pipe", "inherit"],
	});
	try {
		await startOf(child);
		const map = `0 ${range.shift} ${range.count}\n`;
		fs.writeFileSync(`/proc/${child.pid}/uid_map`, map);
		fs.writeFileSync(`/proc/${child.pid}/gid_map`, map);
		return fs.openSync(`/proc/${child.pid}/ns/user`, "r");
	} catch (error) {
		throw new RktError("user-namespace-failed", "cannot make a user namespace for --private-users", {
			hint: "the kernel needs user namespaces: see /proc/sys/user/max_user_namespaces",
			cause: error,
		});
	} finally {
		child.kill("SIGKILL");
	}
}

/** Resolves with the line that the child prints from inside the namespace. */
async function startOf(child: ChildProcess): Promise<void> {
	const started = once(child.stdout as NonNullable<ChildProcess["stdout"]>, "data");
	const ended = once(child, "exit").then(() => {
		throw new Error("unshare --user failed");
	});
	await Promise.race([started, ended]);
}
