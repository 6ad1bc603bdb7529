import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { waitFor } from "./wait-for.ts";

export interface QemuHostResult {
	/** Undefined when the machine ended before the command. */
	readonly status: number | undefined;
	/** Of the command, both streams, and of the kernel when it did not start. */
	readonly output: string;
}

/**
 * Runs a shell script as root on a machine that QEMU emulates, with the kernel of dist/guest-kernel: the files of this
 * machine read-only, the working directory its own, and a disk image on /mnt. `scratch` is a directory for sockets.
 */
export async function runInQemuHost(scratch: string, disk: string, script: string): Promise<QemuHostResult> {
	const [command, socket, status] = ["command", "socket", "status"].map((name) =>
		path.join(scratch, name),
	) as [string, string, string];
	for (const file of [socket, status]) fs.rmSync(file, { force: true });
	fs.writeFileSync(command, script);
	const files = spawn(
		"/usr/lib/qemu/virtiofsd",
		[`--socket-path=${socket}`, "-o", "source=/,sandbox=chroot,cache=auto,xattr,log_level=err"],
		{
			stdio: "ignore",
		},
	);
	try {
		await waitFor("virtiofsd", () => fs.existsSync(socket));
		const output = await outputOf(spawn("qemu-system-x86_64", qemuArguments(socket, status, disk, command)));
		const text = fs.readFileSync(status, "latin1").trim();
		// The console is a terminal.
		return { status: /^\d+$/.test(text) ? Number(text) : undefined, output: output.replaceAll("\r\n", "\n") };
	} finally {
		files.kill("SIGKILL");
	}
}

function qemuArguments(socket: string, status: string, disk: string, command: string): string[] {
	const parameters = [
		"root=root rootfstype=virtiofs ro console=hvc0 quiet loglevel=1 panic=-1 mitigations=off no_timer_check",
		`init=${path.resolve("test/qemu-host/init.sh")}`,
		`directory=${process.cwd()}`,
		`command=${command}`,
	];
	return [
		...["-accel", "tcg,thread=single", "-cpu", "max", "-machine", "q35,memory-backend=memory"],
		...["-object", "memory-backend-memfd,id=memory,size=1024M,share=on", "-m", "1024M"],
		...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
		...["-chardev", `socket,id=root,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=root,tag=root"],
		...["-device", "virtio-serial-pci"],
		...["-chardev", "stdio,id=console,signal=off", "-device", "virtconsole,chardev=console"],
		...["-serial", `file:${status}`],
		...["-drive", `file=${disk},format=raw,if=virtio`],
		...["-kernel", "dist/guest-kernel/vmlinux", "-append", parameters.join(" ")],
	];
}

async function outputOf(child: ChildProcess): Promise<string> {
	const chunks: Buffer[] = [];
	for (const stream of [child.stdout, child.stderr])
		stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
	await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
	return Buffer.concat(chunks).toString();
}
